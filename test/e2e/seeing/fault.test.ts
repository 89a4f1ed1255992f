/** `pv-xconnect fault` on a link of each kind: what its client meets meanwhile, who may, and that nothing of it stays. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunningCommand } from '../../support/command.js';
import { endBy, endOf } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { LivelyMesh, WHERE } from './lively.js';

describe.runIf(isRoot() && has('dbus-daemon'))('fault', () => {
  const mesh = new LivelyMesh();
  beforeAll(() => mesh.begin(), 60_000);
  afterAll(() => mesh.stop());
  const fault = async (...args: string[]) => {
    const one = new RunningCommand(mesh.daemon.control, 'fault', ...args);
    await eventually(() => expect(one.err).toMatch(/is made faulty/));
    return one;
  };
  const graph = () => mesh.command('graph').then(({ out }) => out);

  test.each(Object.keys(WHERE))('delays what a client of %s is told', async (service) => {
    const one = await fault('client', service, '--delay', '400ms');
    const begun = performance.now();
    const { holder, told } = await mesh.hold(service);
    expect(performance.now() - begun).toBeGreaterThan(400);
    expect(told).toMatch(/^(told (hello|HTTP\/1.1 200 OK)|:1\.\d+)$/);
    expect(await one.end()).toBe(0);
    if (service !== 'bus' && service !== 'ruled') {
      expect(await holder.again()).toMatch(/^told (hello|HTTP\/1.1 200 OK)$/);
    }
    holder.leave();
  });

  test('is in effect on open connections that only pass, and over at its end', async () => {
    const { holder } = await mesh.hold('raw');
    const one = await fault('client', 'raw', '--delay', '1s', '--rate', '1m', '--json');
    const begun = performance.now();
    const said = holder.again();
    expect(await said).toBe('told hello');
    expect(performance.now() - begun).toBeGreaterThan(995);
    const long = holder.again();
    await one.end();
    expect(await long).toBe('told hello');
    expect(
      one.out
        .trim()
        .split('\n')
        .map((line) => Object.keys(JSON.parse(line))),
    ).toEqual([['begin'], ['end']]);
    holder.leave();
  });

  test('breaks off connections as its seed has it, and refuses them', async () => {
    const client = mesh.containers.get('client');
    const run = async () => {
      const text = `import socket
for _ in range(20):
    s = socket.socket(socket.AF_UNIX); s.connect('/run/pv/services/raw.sock')
    got = b''
    try:
        s.sendall(b'x' * 70000); s.shutdown(socket.SHUT_WR)
        while data := s.recv(65536): got += data
    except OSError: pass
    print(len(got), end=' ')`;
      return (await client?.exec(['python3', '-c', text]))?.stdout ?? '';
    };
    const cut: string[] = [];
    for (let i = 0; i < 2; i++) {
      const one = await fault('client', 'raw', '--reset', '50%', '--seed', '7');
      cut.push(String(await run()));
      await one.end();
    }
    expect(cut[0]).toBe(cut[1]);
    const lengths = (cut[0] ?? '').trim().split(' ').map(Number);
    expect(lengths).toHaveLength(20);
    expect(lengths.filter((length) => length < 70_000).length).toBeGreaterThan(3);
    expect(lengths.filter((length) => length === 70_000).length).toBeGreaterThan(3);
    const refusing = await fault('client', 'raw', '--refuse');
    expect(
      new Set(
        String(await run())
          .trim()
          .split(' '),
      ),
    ).toEqual(new Set(['0']));
    await refusing.end();
    expect(
      new Set(
        String(await run())
          .trim()
          .split(' '),
      ),
    ).toEqual(new Set(['70000']));
  });

  test('has HTTP answered with an error while it refuses', async () => {
    const one = await fault('client', 'site', '--refuse');
    const { holder, told } = await mesh.hold('site');
    expect(told).toBe('told HTTP/1.1 503 Service Unavailable');
    await one.end();
    holder.leave();
    const next = await mesh.hold('site');
    expect(next.told).toBe('told HTTP/1.1 200 OK');
    next.holder.leave();
  });

  test('is in the log and in the graph while it lasts, once on a link, with its state as it is', async () => {
    const one = await fault('client', 'raw', '--delay', '1s', '--reset', '5', '--seed', '3');
    const shown = (await mesh.daemon.shown()).find(({ name }) => name === 'raw');
    expect(shown).toMatchObject({
      state: 'established',
      fault: { uid: 0, delay_ms: 1_000, rate: 0, reset_percent: 5, refuse: false, seed: 3 },
    });
    expect(await graph()).toMatch(/ established, fault /);
    const { out } = await mesh.command('explain', 'client', 'raw');
    expect(out).toMatch(/ connections .*made faulty by pid \d+ until \S+Z \(pv-xconnect fault\)\n/);
    expect(mesh.daemon.log).toMatch(
      /made faulty by pid \d+ \(uid 0\) for 60 s: delay 1000 ms, reset 5 % \(seed 3\)/,
    );
    const again = await mesh.command('fault', 'client', 'raw', '--refuse');
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('made faulty already')]);
    await endBy(one.child);
    await eventually(async () => {
      expect(await graph()).not.toContain('fault');
      expect(mesh.daemon.log).toMatch(/no longer made faulty by pid \d+ \(uid 0\): whoever asked/);
    });
    const none = await mesh.command('fault', 'client', 'raw');
    expect([none.code, none.err]).toEqual([1, expect.stringContaining('Give one of')]);
    const odd = await mesh.command('fault', 'client', 'raw', '--reset', '101%');
    expect([odd.code, odd.err]).toEqual([2, expect.stringContaining('A share such as 5%')]);
  });

  test('does not outlive the daemon', async () => {
    const { holder } = await mesh.hold('raw');
    const one = await fault('client', 'raw', '--delay', '60s');
    const said = holder.again();
    process.kill(mesh.daemon.daemonPid, 'SIGKILL');
    expect(await said).toBe('told hello');
    expect(await endOf(one.child)).toBe(1);
    expect(one.err).toContain('The daemon has ended.');
    holder.leave();
  });
});
