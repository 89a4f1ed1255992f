/** Rules of device.json that come and go while the daemon reads it, and connections of their address that stay. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { eventually, pause } from '../../support/wait.js';
import { startTown, type Town } from '../http/town.js';

const HTTP = { port: 8080 };

/** A revision and its pids file, as a runtime of one's own would keep them. */
class Revision {
  readonly folder = mkdtempSync(join(tmpdir(), 'pvx-ingress-'));
  readonly state = join(this.folder, 'state');
  readonly pids = join(this.folder, 'pids.json');

  constructor() {
    chmodSync(this.folder, 0o755); // the daemon is not root
    this.write('state/device.json', {});
    this.write('pids.json', {});
    for (const name of ['one', 'two']) {
      this.write(`state/${name}/services.json`, [{ name, type: 'http', ...HTTP }]);
    }
  }

  write(name: string, content: unknown): void {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify(content));
  }
}

describe('the ingress of device.json, edited', () => {
  const revision = new Revision();
  let town: Town;
  beforeAll(async () => {
    town = await startTown(62, '--drain', '1', '--state', revision.state, '--pids', revision.pids);
    await Promise.all([town.node('one', HTTP), town.node('two', HTTP)]);
    const pids = [...town.containers].map(([name, { pid }]) => [name, pid]);
    revision.write('pids.json', Object.fromEntries(pids));
  });
  afterAll(async () => {
    await town?.stop();
    rmSync(revision.folder, { recursive: true });
  });

  const rule = (service: string, path: string, fields: object = {}) => {
    const external = `${town.cable.host}:80${path}`;
    return { type: 'http', external, service, ...fields };
  };
  const ingress = (...rules: object[]) => revision.write('state/device.json', { ingress: rules });
  const status = (path: string) =>
    town.curl('-o', '/dev/null', '-w', '%{http_code}', town.url(path));
  const serves = (path: string, text: string) =>
    eventually(async () => expect(await town.curl(town.url(path))).toBe(text), {
      timeoutMs: 15_000,
    });

  test('a rule that is added, changed or removed leaves every other connection of the address alone', async () => {
    ingress(rule('one', '/one'));
    await serves('/one', 'one');
    const socket = new WebSocket(`ws://${town.cable.host}/one/ws`);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    let ended = false;
    socket.once('close', () => {
      ended = true;
    });

    for (let round = 0; round < 3; round++) {
      ingress(rule('one', '/one'), rule('two', '/two'));
      await serves('/two', 'two');
      ingress(rule('one', '/one'), rule('one', '/two'));
      await serves('/two', 'one');
      ingress(rule('one', '/one'));
      await eventually(async () => expect(await status('/two')).toBe('404'));
      const answer = new Promise((resolve) => socket.once('message', resolve));
      socket.send(`round ${round}`);
      expect(String(await answer)).toBe(`round ${round}`);
    }
    await pause(1_500); // it may not end: longer than the drain time
    expect(ended).toBe(false);
    socket.terminate();
  });

  test('a rule that collides is refused, and the one that was there goes on', async () => {
    const refused = (count: number) =>
      eventually(() => {
        expect(town.daemon.log.match(/found the target/g)).toHaveLength(count);
      });
    ingress(rule('one', '/one'), rule('two', '/one/'));
    await refused(1);
    expect(await town.curl(town.url('/one'))).toBe('one');
    ingress(rule('one', '/one'), { ...rule('two', ''), type: 'tcp' });
    await refused(2);
    expect(await town.curl(town.url('/one'))).toBe('one');
  });
});
