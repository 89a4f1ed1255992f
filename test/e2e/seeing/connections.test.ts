/** `pv-xconnect connections` about real connections of each kind, of clients in a container with users of its own. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import type { ConnectionView } from '../../../src/status/connections.js';
import { request } from '../../support/daemon.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { type Holder, LivelyMesh, WHERE } from './lively.js';

const HTTP = 'GET /some/thing?of=interest';

describe.runIf(isRoot() && has('dbus-daemon'))('connections', () => {
  const mesh = new LivelyMesh();
  const holders = new Map<string, Holder>();
  const told = new Map<string, string>();

  beforeAll(async () => {
    await mesh.begin();
    for (const service of Object.keys(WHERE)) {
      const held = await mesh.hold(service);
      holders.set(service, held.holder);
      told.set(service, held.told);
    }
  }, 60_000);
  afterAll(() => mesh.stop());

  const listed = async (...args: string[]) => {
    const { out, code } = await mesh.command('connections', ...args, '--json');
    expect(code).toBe(0);
    return JSON.parse(out) as ConnectionView[];
  };

  test('of each kind are listed with their process as it is in its container', async () => {
    const all = await eventually(async () => {
      const all = await listed('client');
      expect(all.map(({ name }) => name).sort()).toEqual(Object.keys(WHERE).sort());
      return all;
    });
    for (const { name, process, address, state, since, bytes } of all) {
      expect([name, state]).toEqual([name, 'open']);
      expect(Math.abs(Date.now() - Date.parse(since))).toBeLessThan(60_000);
      // What is said before the bus knows a client is not counted.
      expect([name, bytes.to_provider > 0]).toEqual([name, name !== 'bus']);
      expect([name, bytes.to_consumer > 0]).toEqual([name, true]);
      if (WHERE[name]?.[1].startsWith('/')) {
        expect(process).toMatchObject({ uid: 0, host_uid: 100_000 });
        expect(process?.command).toMatch(/^python3 \/run\/ends.py hold [a-z]+ \/run\/pv/);
        expect(process?.pid).not.toBe(process?.host_pid);
        expect(address).toBeNull();
      } else {
        expect([process, address]).toEqual([null, expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
      }
    }
    const one = (name: string) => all.find((each) => each.name === name);
    expect(one('raw')?.bytes).toEqual({ to_provider: 5, to_consumer: 5 });
    expect(one('notes')?.bytes).toEqual({ to_provider: 5, to_consumer: 5 });
    expect([one('api')?.request, one('site')?.request]).toEqual([HTTP, HTTP]);
    for (const bus of ['bus', 'ruled']) expect(one(bus)?.unique_name).toBe(told.get(bus));
  });

  test('are a table for people', async () => {
    const { out } = await mesh.command('connections', 'client', 'bus');
    const [head, line, ...others] = out.trimEnd().split('\n');
    expect(others).toEqual([]);
    expect(head?.split(/ +/)).toEqual([
      'SINCE',
      'CONSUMER',
      'SERVICE',
      'CLIENT',
      'UID',
      'SENT',
      'RECEIVED',
      'ABOUT',
    ]);
    expect(line).toMatch(
      /Z +client +bus +\d+ python3 \/run\/ends.py hold dbus \S+ +0 +\d+ B +\d+ B +:\d\.\d+$/,
    );
    const none = await mesh.command('connections', 'nobody');
    expect([none.code, none.out]).toEqual([0, 'No connection is open.\n']);
  });

  test('are all met once, however small the pages', async () => {
    const ids: string[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const question = new URLSearchParams({ limit: '2', after });
      const page = (await request(mesh.daemon.control, `/connections?${question}`)) as {
        connections: ConnectionView[];
        next: string | null;
      };
      expect(page.connections.length).toBeLessThanOrEqual(2);
      ids.push(...page.connections.map(({ name, id }) => `${name} ${id}`));
      after = page.next;
    }
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toHaveLength(Object.keys(WHERE).length);
  });

  test('that end are told while somebody follows, each with its reason', async () => {
    const argv = ['connections', '--follow', '--json', '--control', mesh.daemon.control];
    const following = spawn(`${PACKAGE_ROOT}/bin/pv-xconnect`, argv);
    let text = '';
    following.stdout.on('data', (data) => {
      text += data;
    });
    const lines = () =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    await eventually(() => expect(lines()).toHaveLength(Object.keys(WHERE).length));
    for (const service of ['raw', 'api', 'port', 'site', 'bus', 'ruled']) {
      holders.get(service)?.leave();
    }
    await eventually(() => {
      const ended = lines().filter(({ reason }) => reason !== undefined);
      expect(Object.fromEntries(ended.map(({ name, reason }) => [name, reason]))).toEqual({
        ...{ raw: 'eof', port: 'eof', bus: 'eof', ruled: 'eof', api: 'closed', site: 'closed' },
      });
      const raw = ended.find(({ name }) => name === 'raw');
      expect(raw.process.command).toContain('hold stream');
      const ruled = ended.find(({ name }) => name === 'ruled');
      expect(ruled).toMatchObject({ unique_name: told.get('ruled'), process: { uid: 0 } });
    });
    following.kill('SIGINT');
    const code = await new Promise((resolve) => following.once('exit', resolve));
    expect(code).toBe(0);
    await eventually(async () => {
      expect((await listed()).map(({ name }) => name)).toEqual(['notes']);
    });
  });
});
