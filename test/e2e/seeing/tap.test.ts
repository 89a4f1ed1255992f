/** `pv-xconnect tap` on a link of each kind, by root and by others, and what becomes of it when anything else ends. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunningCommand } from '../../support/command.js';
import { endBy, endOf } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { LivelyMesh, WHERE } from './lively.js';

describe.runIf(isRoot() && has('dbus-daemon'))('tap', () => {
  const mesh = new LivelyMesh();
  beforeAll(() => mesh.begin(), 60_000);
  afterAll(() => mesh.stop());
  const tap = async (...args: string[]) => {
    const one = new RunningCommand(mesh.daemon.control, 'tap', ...args);
    await eventually(() => expect(one.err).toMatch(/is tapped/));
    return one;
  };
  const graph = () => mesh.command('graph').then(({ out }) => out);

  const BYTES =
    /^\S+Z (\S+) → bytes: 5\n00000000 {2}68 65 6c 6c 6f {34} {2}\|hello\|\n00000005\n\S+Z \1 ← bytes: 5\n/;
  const HEADS =
    /Z p\.\d+ → GET \/some\/thing\?of=interest HTTP\/1\.1\n {2}Host: town\.example\n(.*\n)*\S+Z p\.\d+ ← HTTP\/1\.1 200 OK\n {2}Content-Length: 2\n\S+Z p\.\d+ ← bytes: 2\n00000000 {2}6f 6b /;
  const MESSAGES =
    /Z (0\.\d+) → AUTH EXTERNAL 30\n\S+Z \1 ← OK [0-9a-f]+\n\S+Z \1 → BEGIN\n\S+Z \1 → call org\.freedesktop\.DBus\.Hello at \/org\/freedesktop\/DBus to org\.freedesktop\.DBus, serial 1, bytes: \d+\n/;
  /** What only passes is the relay's once the bus has answered, with the rest of that answer. */
  const RELAYED = new RegExp(
    `${MESSAGES.source}(.*\\n)*\\S+Z \\d+\\.\\d+ ← signal org\\.freedesktop\\.DBus\\.NameAcquired at `,
  );
  const ANSWERED = new RegExp(
    `${MESSAGES.source}\\S+Z \\1 ← reply 1 from org\\.freedesktop\\.DBus to :1\\.\\d+, serial \\d+, "s", bytes: \\d+\\n`,
  );
  const SHOWN: Record<string, RegExp> = {
    ...{ raw: BYTES, notes: BYTES, port: BYTES, api: HEADS, site: HEADS },
    ...{ bus: RELAYED, ruled: ANSWERED },
  };

  test.each(Object.keys(WHERE))(
    'shows what passes on %s, both ways, from its first byte',
    async (service) => {
      const one = await tap('client', service);
      const { holder } = await mesh.hold(service);
      await eventually(() => expect(one.out).toMatch(SHOWN[service] as RegExp));
      holder.leave();
      expect(await one.end()).toBe(0);
      expect(one.err).toMatch(/It was ended: \d+ bytes were shown\.\n$/);
    },
  );

  test('shows connections that are open already, as lines of JSON too', async () => {
    const held = await Promise.all(['raw', 'api'].map((service) => mesh.hold(service)));
    const taps = await Promise.all(
      ['raw', 'api'].map((service) => tap('client', service, '--json')),
    );
    for (const { holder } of held) await holder.again();
    await eventually(() => {
      const [raw = [], api = []] = taps.map(({ out }) =>
        out.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)])),
      );
      expect(
        raw.map(({ to, kind, bytes }) => [to, kind, Buffer.from(bytes, 'base64').toString()]),
      ).toEqual([
        ['provider', 'bytes', 'hello'],
        ['consumer', 'bytes', 'hello'],
      ]);
      expect(api.map(({ to, kind }) => [to, kind])).toEqual([
        ['provider', 'lines'],
        ['consumer', 'lines'],
        ['consumer', 'bytes'],
      ]);
      expect(api[0].lines).toContain('X-PV-Client: client');
    });
    for (const one of taps) await one.end();
    for (const { holder } of held) holder.leave();
  });

  test('is in the log and in the graph while it lasts, and once on a link', async () => {
    const one = await tap('client', 'raw', '--for', '20s');
    const shown = (await mesh.daemon.shown()).find(({ name }) => name === 'raw');
    expect(shown).toMatchObject({ tap: { uid: 0, pid: one.child.pid } });
    expect(await graph()).toMatch(/ established, tap /);
    const again = await mesh.command('tap', 'client', 'raw');
    expect([again.code, again.err]).toEqual([
      1,
      expect.stringMatching(/The link is tapped already, by pid \d+ until \S+Z\.\n$/),
    ]);
    expect(mesh.daemon.log).toContain(`tapped by pid ${one.child.pid} (uid 0) for 20 s`);
    await endBy(one.child); // by SIGKILL, so it says nothing itself
    await eventually(async () => {
      expect(mesh.daemon.log).toContain(
        `no longer tapped by pid ${one.child.pid} (uid 0): whoever asked has left, 0 bytes were shown`,
      );
      expect(await graph()).not.toContain('tap');
    });
  });

  test('ends when its time is over', async () => {
    const { code, err } = await mesh.command('tap', 'client', 'raw', '--for', '1s');
    expect([code, err]).toEqual([
      0,
      expect.stringMatching(/It is over, as its time is over: 0 bytes were shown\.\n$/),
    ]);
    const long = await mesh.command('tap', 'client', 'raw', '--for', '2h');
    expect([long.code, long.err]).toEqual([1, expect.stringContaining('up to 3600')]);
    const none = await mesh.command('tap', 'client', 'rwa');
    expect([none.code, none.err]).toEqual([
      1,
      expect.stringContaining('client has no link to rwa'),
    ]);
  });

  test('is refused to whoever is not root, though he may connect', async () => {
    const { control } = mesh.daemon;
    chmodSync(dirname(control), 0o755);
    const ask = () => {
      const text = `import os, socket; os.setgroups([]); os.setgid(0); os.setuid(1000); s = socket.socket(socket.AF_UNIX); s.connect('${control}')
s.sendall(b'POST /tap?consumer=client&name=raw HTTP/1.0\\r\\n\\r\\n'); print(s.recv(4096).decode())`;
      const child = spawn('python3', ['-c', text], { stdio: ['ignore', 'pipe', 'inherit'] });
      return new Promise<string>((resolve) =>
        child.stdout.once('data', (data) => resolve(`${data}`)),
      );
    };
    // In root's group, whom the socket's mode lets in.
    expect(await ask()).toMatch(/^HTTP\/1\.1 403 [\s\S]*Only root/);
    expect(mesh.daemon.log).not.toMatch(/tapped by pid \d+ \(uid 1000\)/);
  });

  test('writes a file that nobody else may read', async () => {
    const file = `${mesh.folder}/some.pcapng`;
    const one = await tap('client', 'ruled', '--pcap', file);
    const { holder } = await mesh.hold('ruled');
    await eventually(() => expect(readFileSync(file).includes('NameAcquired')).toBe(true));
    await one.end();
    holder.leave();
    expect(one.out).toBe('');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const bad = await mesh.command('tap', 'client', 'raw', '--pcap', '/nowhere/at.all');
    expect([bad.code, bad.err]).toEqual([
      1,
      expect.stringContaining('/nowhere/at.all can not be written'),
    ]);
  });

  test.runIf(has('tshark'))('writes a file as Wireshark reads it', async () => {
    const files = ['ruled', 'api'].map((service) => `${mesh.folder}/${service}.pcapng`);
    const taps = await Promise.all([
      tap('client', 'ruled', '--pcap', files[0] as string),
      tap('client', 'api', '--pcap', files[1] as string),
    ]);
    const held = await Promise.all(['ruled', 'api'].map((service) => mesh.hold(service)));
    await eventually(() => {
      expect(readFileSync(files[0] as string).includes('NameAcquired')).toBe(true);
      expect(readFileSync(files[1] as string).includes('200 OK')).toBe(true);
    });
    for (const one of taps) await one.end();
    for (const { holder } of held) holder.leave();
    const tshark = (file: string | undefined, ...args: string[]) => {
      const { stdout, stderr } = spawnSync('tshark', ['-r', file as string, ...args], {
        encoding: 'utf8',
      });
      expect(stderr).not.toMatch(/malformed|damaged|corrupt|cut short/i);
      return stdout;
    };
    const members = [
      '-Y',
      'dbus',
      '-T',
      'fields',
      '-e',
      'dbus.member',
      '-e',
      'frame.packet_flags_direction',
    ];
    const said = tshark(files[0], ...members)
      .split('\n')
      .map((line) => line.split('\t').join(' '));
    expect(said[0]).toMatch(/^Hello (0x0*2|2)$/);
    expect(said.join(',')).toMatch(/NameAcquired (0x0*1|1)/);
    const http = 'uat:user_dlts:"User 0 (DLT=147)","http","12","","0",""';
    const heads = tshark(
      files[1],
      '-o',
      http,
      '-Y',
      'http',
      '-T',
      'fields',
      '-e',
      'http.request.uri',
      '-e',
      'http.response.code',
    );
    expect(heads).toContain('/some/thing?of=interest');
    expect(heads).toMatch(/\t200\n/);
  });

  test('ends with an upgrade, and so does a fault; connections go on, and new ones are seen again', async () => {
    const { holder } = await mesh.hold('raw');
    const one = await tap('client', 'raw');
    const fault = new RunningCommand(
      mesh.daemon.control,
      'fault',
      'client',
      'raw',
      '--delay',
      '50s',
    );
    await eventually(() => expect(fault.err).toMatch(/is made faulty/));
    const said = holder.again();
    const { code, err } = await mesh.command('upgrade');
    expect([code, err]).toEqual([0, '']);
    expect(await said).toBe('told hello');
    expect(await Promise.all([endOf(one.child), endOf(fault.child)])).toEqual([1, 1]);
    expect(await graph()).not.toMatch(/tap|fault/);
    const next = await tap('client', 'raw');
    const later = await mesh.hold('raw');
    await eventually(() => expect(next.out).toContain('|hello|'));
    expect(await holder.again()).toBe('told hello');
    await next.end();
    for (const each of [holder, later.holder]) each.leave();
  });

  test('does not outlive the daemon, whose successor serves the link on', async () => {
    const { holder } = await mesh.hold('raw');
    const one = await tap('client', 'raw');
    process.kill(mesh.daemon.daemonPid, 'SIGKILL');
    expect(await endOf(one.child)).toBe(1);
    expect(one.err).toContain('The daemon has ended.');
    await eventually(async () => expect((await mesh.daemon.shown()).length).toBeGreaterThan(0));
    expect(await holder.again()).toBe('told hello');
    expect(await graph()).not.toContain('tap');
    const next = await tap('client', 'raw');
    await holder.again();
    await eventually(() => expect(next.out).toContain('|hello|'));
    await next.end();
    holder.leave();
  });
});
