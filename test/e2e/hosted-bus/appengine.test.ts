/** examples/dbus-hosted under pv-appengine: three containers, no daemon among them, one of them started by a call. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { has, isRoot, ORDINARY_USER, userNamespaces } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { services } from '../../unit/manifest/scratch.js';

const NAME = 'org.example.Thermostat';
const ACTIVATE = '/xconnect/dbus/activate';

describe.runIf(isRoot() && has('dbus-daemon') && has('unshare'))('pv-appengine', () => {
  let engine: AppEngineProcess;
  beforeEach(() => {
    engine = new AppEngineProcess();
  });
  afterEach(() => engine.remove());

  const start = () => engine.startExample('dbus-hosted');
  const statusOf = async (container: string) =>
    (await engine.get('/containers')).body.find(({ name }: { name: string }) => name === container)
      .status;
  const pidsOf = (program: string) =>
    engine
      .processes()
      .filter((line) => line.includes(program))
      .map((line) => Number(execFileSync('pgrep', ['-f', line.trim().slice(0, 80)])));

  test('hosts a bus for containers that have none: one is started by a call, one is refused', async () => {
    await start();
    await engine.untilSaid('operator', 'the thermostat is set to 20.5');
    await engine.untilSaid('thermostat', `owns ${NAME}`);
    await engine.untilSaid('visitor', 'is refused: org.freedesktop.DBus.Error.AccessDenied');
    await engine.untilSaid('visitor', 'hears of a target of');
    const { body } = await engine.get('/xconnect-graph');
    expect(body).toMatchObject([
      { consumer: 'operator', provider: '_pv_', provider_pid: 0, uid: 200_000, activates: [NAME] },
      { consumer: 'thermostat', role: 'thermostat', uid: 200_001 },
      { consumer: 'visitor', uid: 200_002, activates: [] },
    ]);
    expect(body[0].socket).toBe(join(engine.folder, 'bus/system_bus_socket'));
  });

  test('starts a stopped one again when it is called', async () => {
    await start();
    await engine.untilSaid('operator', 'the thermostat is set to 20.5');
    await engine.ask('PUT', '/containers/thermostat', { action: 'stop' });
    await engine.untilSaid('operator', 'the thermostat is set to 21.5');
    expect(engine.console('operator')).not.toContain('Error');
    expect(engine.console('thermostat').match(/owns/g)).toHaveLength(2);
  });

  test('has bus and program back after both were killed, with the same uids', async () => {
    await start();
    await engine.untilSaid('operator', 'set to 20.5');
    const uids = readFileSync(join(engine.folder, 'bus/role-uids.json'), 'utf8');
    const [program] = pidsOf('pvx-bus');
    process.kill(program as number, 'SIGKILL');
    // Its clients lose their connections, end, and are started again.
    await eventually(
      () => expect(engine.console('operator').match(/set to 20.5/g)).toHaveLength(2),
      {
        timeoutMs: 20_000,
      },
    );
    expect(engine.said).toContain('pvx-bus ended, and the hosted bus with it');
    expect(readFileSync(join(engine.folder, 'bus/role-uids.json'), 'utf8')).toBe(uids);
  });

  test.each(['SIGINT', 'SIGKILL'] as const)(
    'leaves nothing of the bus after %s',
    async (signal) => {
      await start();
      await engine.untilSaid('operator', 'set to 20.5');
      await engine.end(signal);
      await eventually(() => expect(engine.processes()).toEqual([]), { timeoutMs: 15_000 });
      await eventually(() =>
        expect(readdirSync(join(engine.folder, 'bus'))).toEqual(
          expect.not.arrayContaining(['system_bus_socket', 'bus.conf']),
        ),
      );
    },
  );

  test('answers a question to start an owner clearly, whatever it is asked', async () => {
    engine.write({
      'quiet/services.json': services({
        ...{ type: 'dbus', owns: NAME, role: 'quiet', activation: { mode: 'on-demand' } },
      }),
      'quiet/run.json': { exec: ['sleep', '60'] },
    });
    await engine.start(['--no-daemon']);
    expect(await statusOf('quiet')).toBe('INSTALLED');
    expect((await engine.get('/groups')).body.at(-1)).toMatchObject({ status: 'READY' });
    const asks: [unknown, number, RegExp][] = [
      [{ bus: 'system-bus', name: 'org.example.No' }, 404, /^No container owns "org.example.No"/],
      [{ bus: 'session', name: NAME }, 404, /on "session"/],
      [{ bus: 'system-bus' }, 400, /expected \{"bus"/],
      ['text', 400, /Found "text"/],
      [{ name: 7 }, 400, /expected/],
    ];
    for (const [body, status, error] of asks) {
      const answer = await engine.ask('POST', ACTIVATE, body);
      expect(answer).toMatchObject({ status, body: { Error: expect.stringMatching(error) } });
    }
    expect((await engine.ask('GET', ACTIVATE)).status).toBe(405);
    const { body } = await engine.ask('POST', ACTIVATE, { bus: 'system-bus', name: NAME });
    expect(body).toEqual({ bus: 'system-bus', name: NAME, container: 'quiet', status: 'STARTED' });
    expect(await statusOf('quiet')).toBe('STARTED');
  });

  test("lets no container see the bus's folder, wherever that is", async () => {
    const visible = mkdtempSync('/var/tmp/pvx-visible-'); // which every container has, read-only
    try {
      engine.write({
        'a/run.json': {
          exec: ['sh', '-c', `ls -a ${visible} ${visible}/bus; echo end; sleep 60`],
          services: { required: ['system-bus'] },
        },
      });
      await engine.start(['--no-daemon', '--control', join(visible, 'control.sock')]);
      await eventually(() => expect(engine.console('a')).toContain('end'));
      expect(engine.console('a')).toMatch(/\nbus\n/);
      expect(engine.console('a')).not.toMatch(/system_bus_socket|bus.conf|passwd/);
      expect(readdirSync(join(visible, 'bus'))).toContain('system_bus_socket');
      await engine.end();
    } finally {
      rmSync(visible, { recursive: true, force: true });
    }
  });

  test.runIf(userNamespaces())('says in one sentence that there is none without root', async () => {
    engine.write({
      'a/run.json': {
        exec: ['sh', '-c', 'echo here; sleep 60'],
        services: { required: ['system-bus'] },
      },
    });
    spawnSync('chown', ['-R', '1000:1000', engine.folder]);
    await engine.start(['--no-daemon'], ['setpriv', ...ORDINARY_USER]);
    await eventually(() => expect(engine.console('a')).toContain('here'));
    const sentences = engine.said
      .split('\n')
      .filter((line) => line.startsWith('The hosted system bus'));
    expect(sentences).toEqual([
      "The hosted system bus can't run here: the user namespace here has no uids from 199999 to 265535, and each role needs its own.",
    ]);
    expect((await engine.get('/xconnect-graph')).body).toMatchObject([
      { provider: '_pv_', state: 'failed', last_error: { code: 'bus-off' } },
    ]);
  });
});
