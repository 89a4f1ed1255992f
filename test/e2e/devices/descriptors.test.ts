/** Clients in a container are handed opened devices by the real daemon, and lose them again. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compile } from '../../support/compile.js';
import { startContainer } from '../../support/container.js';
import { FOR_EVER, mountSlow } from '../../support/file-systems.js';
import { countOpenFiles } from '../../support/open-files.js';
import { Peer } from '../../support/peer-process.js';
import { fuse } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { CARD, KEYS, useDescriptors } from './descriptors.js';

const KIOSK = fileURLToPath(
  new URL('../../../examples/drm/kiosk-app/root/kiosk.c', import.meta.url),
);

describe('a link that hands out descriptors', () => {
  const use = useDescriptors();

  test.each([
    ['rw', undefined],
    ['rw', 'rw'],
    ['ro', 'ro'],
  ] as const)('gives each client its own, %s where the export says %s', async (access, said) => {
    await use.established(use.keys({ ...(said ? { access: said } : {}) }));
    for (let i = 0; i < 3; i++) {
      const [, first] = await use.at.client(KEYS);
      expect(first).toBe(`1:5 ${access} nonblock 1`);
    }
    const [shown] = await use.at.daemon.shown();
    expect(shown?.connections).toEqual({ active: 3, total: 3 });
  });

  test('is not established while every client is refused, until one is not', async () => {
    await use.established(use.card({ role: 'master' }));
    use.record.setBusy(true);
    for (let i = 0; i < 2; i++) expect((await use.at.client(CARD))[1]).not.toContain('nonblock');
    const [shown] = await use.at.daemon.until({ card: 'failed' });
    expect(shown).toMatchObject({
      connections: { active: 0, refused: 2 },
      last_error: { code: 'device-busy', remedy: expect.stringContaining('master') },
    });
    use.record.setBusy(false);
    await use.at.client(CARD);
    await use.at.daemon.until({ card: 'established' });
  });

  test('says in three lines and a count that it refused many clients', async () => {
    await use.established(use.card({ role: 'master' }));
    use.record.setBusy(true);
    const before = use.at.daemon.log.length;
    for (let i = 0; i < 20; i++) await use.at.client(CARD);
    use.record.setBusy(false);
    await eventually(() => {
      const lines = use.at.daemon.log.slice(before).trimEnd().split('\n');
      const refused = lines.map((line) => JSON.parse(line)).filter(isRefusal);
      const counts = refused.map(({ repeated }) => repeated ?? 1);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(20);
      expect(counts.length).toBeLessThan(12);
    });
  });

  test('works in a container with users of its own', async () => {
    await use.at.withContainer({ name: 'consumer', userns: true }, async (own) => {
      await use.established(use.keys({ consumer_pid: own.pid }));
      const [, first] = await use.at.client(KEYS, own);
      expect(first).toBe('1:5 rw nonblock 1');
    });
  });

  test('serves the client library of examples/drm', async () => {
    const flags = ['-std=c11', '-Wpedantic', '-Werror'];
    const program = compile('kiosk', [KIOSK, join(KIOSK, '../pv_device.h')], flags);
    cpSync(program, join(use.at.consumer.rootDir, 'tmp/kiosk'));
    await use.established(use.card({ role: 'master' }));
    const kiosk = new Peer(use.at.consumer.run(['/tmp/kiosk', CARD]));
    try {
      expect(await kiosk.line()).toBe(
        'I have a device that is no screen: Inappropriate ioctl for device',
      );
      use.at.daemon.set();
      expect(await kiosk.line()).toBe('the screen was taken back');
      use.record.setBusy(true);
      use.at.daemon.set(use.card({ role: 'master' }));
      expect(await kiosk.line()).toBe('I have no screen: No such device');
    } finally {
      kiosk.kill();
    }
  });

  test('revokes input devices when the link goes, at once, and says so by ending the connection', async () => {
    await use.established(use.keys());
    const [one] = await use.at.client(KEYS);
    const [two] = await use.at.client(KEYS);
    expect(await use.mark(one)).toBe('-');
    await use.at.daemon.clear();
    expect([await one.line(), await two.line()]).toEqual(['ended', 'ended']);
    expect([await use.mark(one), await use.mark(two)]).toEqual(['marked', 'marked']);
    expect(use.record.lines()).toEqual(['1:5 EVIOCREVOKE', '1:5 EVIOCREVOKE']);
  });

  test.runIf(fuse())('revokes them though a file system of the consumer hangs', async () => {
    const own = await startContainer({ name: 'consumer' });
    try {
      await use.established(use.keys({ consumer_pid: own.pid }));
      const [client] = await use.at.client(KEYS, own);
      await mountSlow(own, '/run/dev', FOR_EVER);
      use.at.daemon.set();
      await eventually(() => expect(use.record.lines()).toEqual(['1:5 EVIOCREVOKE']));
      expect(await use.mark(client)).toBe('marked');
    } finally {
      await own.kill();
      await use.at.daemon.clear();
    }
  });

  test('revokes an input device when its client hangs up or dies, and no other', async () => {
    await use.established(use.keys());
    const [one] = await use.at.client(KEYS);
    const [two] = await use.at.client(KEYS);
    const [three] = await use.at.client(KEYS);
    one.say('hang up\n');
    await one.line();
    await eventually(async () => expect(await use.mark(one)).toBe('marked'));
    two.kill();
    await eventually(() => expect(use.record.lines().length).toBe(2));
    expect(await use.mark(three)).toBe('-');
  });

  test.each([
    ['role', { role: 'other' }],
    ['access', { access: 'ro' }],
  ])('takes it back when the %s of the link changes', async (_what, fields) => {
    await use.established(use.keys());
    const [client] = await use.at.client(KEYS);
    await use.at.until('established', use.keys(fields));
    expect(await client.line()).toBe('ended');
    expect(await use.mark(client)).toBe('marked');
  });

  test('takes everything back when the daemon is killed', async () => {
    await use.established(use.keys(), use.card({ role: 'master' }));
    const [client] = await use.at.client(KEYS);
    const [master] = await use.at.client(CARD);
    expect(await use.mark(master)).toBe('marked');
    await use.at.daemon.kill();
    await eventually(async () => expect(await client.line()).toBe('ended'));
    await eventually(async () => expect(await use.mark(client)).toBe('marked'));
    expect(await master.line()).toBe('ended');
    expect(await use.mark(master)).toBe('-');
    await use.at.daemon.launch();
  });

  test('waits with a client for a device that is not there yet', async () => {
    use.at.daemon.set(use.keys());
    await use.at.withError('device-missing');
    const client = use.at.client(KEYS);
    await use.at.daemon.untilActive(1);
    await use.makeDevices();
    expect((await client)[1]).toBe('1:5 rw nonblock 1');
  });

  test('ends a client whose device does not come', async () => {
    use.at.daemon.set(use.keys());
    await use.at.withError('device-missing');
    expect((await use.at.client(KEYS))[1]).toBe('nothing');
  });

  test('ends its clients when the device is unplugged, and serves the next ones when it is back', async () => {
    await use.established(use.keys());
    const [client] = await use.at.client(KEYS);
    await use.at.inProvider('rm /run/dev/keys');
    expect(await client.line()).toBe('ended');
    await use.at.daemon.until({ keys: 'waiting' });
    await use.makeDevices();
    await use.at.daemon.until({ keys: 'established' });
    expect((await use.at.client(KEYS))[1]).toBe('1:5 rw nonblock 1');
  });

  test('serves 64 clients at a time, and the next ones when some have left', async () => {
    await use.established(use.keys());
    const script = `import socket
all=[]
for i in range(70):
    s=socket.socket(1); s.connect('${KEYS}'); all.append((s, socket.recv_fds(s,1,1)[1]))
print(len([1 for s,f in all if f]))
for s,f in all[:10]: s.close()
def next():
    s=socket.socket(1); s.connect('${KEYS}')
    return len(socket.recv_fds(s,1,1)[1])
while not next(): pass
print(1)`;
    const { stdout } = await use.at.consumer.exec(['python3', '-c', script]);
    expect(stdout.trim()).toBe('64\n1');
  });

  test('leaves nothing open in the daemon or its broker', async () => {
    const count = () => [use.at.daemon.daemonPid, use.at.daemon.brokerPid].map(countOpenFiles);
    await use.established(use.keys(), use.card({ lease: ['DP-1'] }));
    const [daemon = 0, broker = 0] = count();
    for (let i = 0; i < 5; i++) {
      for (const path of [KEYS, CARD]) {
        const [client] = await use.at.client(path);
        client.kill();
      }
    }
    await eventually(() => {
      expect(count()[0]).toBeLessThanOrEqual(daemon);
      expect(count()[1]).toBeLessThanOrEqual(broker);
    });
  });
});

/** A client's, not the link's. */
function isRefusal(line: { code?: string; state?: string }): boolean {
  return line.code === 'device-busy' && line.state === undefined;
}
