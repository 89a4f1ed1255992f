import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { countOpenFiles } from '../../support/open-files.js';
import { descendantsOf } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

describe.runIf(isRoot() && has('curl'))('examples/rest', () => {
  const engine = new AppEngineProcess();
  beforeAll(async () => {
    await engine.startExample('rest');
  });
  afterAll(() => engine.remove());

  const linesOf = (container: string) =>
    eventually(
      () => {
        const lines = engine.console(container).trim().split('\n');
        if (lines.length < 3) throw new Error(`${container} read only ${lines.join(' ')}`);
        return lines.slice(0, 3);
      },
      { timeoutMs: 15_000 },
    );

  test('has no problem to report', () => {
    expect(engine.said).not.toMatch(/found|did not start/);
  });

  test('lets the operator set what it wants, under its own name', async () => {
    const who = { you: 'operator-panel', role: 'operator' };
    const read = (await linesOf('operator-panel')).map((line) => JSON.parse(line));
    expect(read).toEqual([
      { temperature: 19.5, ...who },
      { target: 22, ...who },
      { temperature: 19.5, ...who },
    ]);
  });

  test('lets the guest look, and no more', async () => {
    const look = JSON.stringify({ temperature: 19.5, you: 'guest-panel', role: 'guest' });
    const refused = 'No rule of thermostat lets the role guest ask this.';
    expect(await linesOf('guest-panel')).toEqual([look, refused, look]);
  });

  test.runIf(has('nc'))(
    'answers nc that half-closes, a hundred times, and keeps nothing of it',
    async () => {
      await engine.connected();
      const pid = await engine.pidOf('guest-panel');
      const socket = `/proc/${pid}/root/run/pv/services/thermostat.sock`;
      const ask = () =>
        spawnSync('nc', ['-N', '-w', '5', '-U', socket], {
          input: 'GET /temperature HTTP/1.0\r\n\r\n',
          encoding: 'utf8',
        }).stdout;
      const { body } = await engine.get('/daemons');
      const open = () =>
        [body[0].pid, ...descendantsOf(body[0].pid)].reduce(
          (sum, one) => sum + countOpenFiles(one),
          0,
        );
      const before = open();
      for (let i = 0; i < 100; i++) {
        expect(ask()).toMatch(
          /^HTTP\/1\.[01] 200 .*\r\n\r\n\{"temperature":19\.5,"you":"guest-panel"/s,
        );
      }
      // The panels come and go meanwhile, with a connection each.
      await eventually(() => expect(open()).toBeLessThan(before + 8));
    },
  );
});
