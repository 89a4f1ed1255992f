/**
 * drm and input links with "mode": "fd": clients in a container are handed opened devices by the real daemon. Its
 * broker takes stand-ins and answers ioctls (test/support/stand-ins.ts): /dev/null is card3, /dev/full card7,
 * /dev/net/tun renderD200, /dev/zero an input device. What a client calls "marked" is master, or revoked.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startContainer } from '../../support/container.js';
import type { WireLink } from '../../support/daemon.js';
import type { Peer } from '../../support/peer-process.js';
import { IoctlRecord, standInBroker } from '../../support/stand-ins.js';
import { eventually } from '../../support/wait.js';
import { type Devices, startDevices } from './support.js';

const CARD = '/run/dev/card';
const KEYS = '/run/dev/keys';

describe('a link that hands out descriptors', () => {
  let at: Devices;
  const record = new IoctlRecord();
  beforeAll(async () => {
    const args = ['--patience', '2', '--drain', '3600'];
    at = await startDevices({ args, broker: standInBroker(), env: record.env });
  });
  afterEach(async () => {
    await at.reset();
    record.setBusy(false);
    record.clear();
  });
  afterAll(async () => {
    await at?.stop();
    record.remove();
  });

  const card = (fields: Partial<WireLink> = {}) =>
    at.link({ device: 'fd', socket: '/dev/dri/card3', target: CARD, ...fields });
  const keys = (fields: Partial<WireLink> = {}) =>
    at.link({
      name: 'keys',
      type: 'input',
      device: 'fd',
      socket: '/run/dev/keys',
      target: KEYS,
      ...fields,
    });
  const makeDevices = () =>
    at.inProvider(`mkdir -p /dev/dri /run/dev; cd /dev/dri; mknod card3 c 1 3; mknod card7 c 1 7
      mknod renderD200 c 10 200; mknod /run/dev/keys c 1 5`);

  async function established(...links: WireLink[]): Promise<void> {
    await makeDevices();
    await at.until('established', ...links);
  }

  /** Of a client: "marked" or "-". */
  async function mark(peer: Peer): Promise<string> {
    peer.say('look\n');
    return peer.line();
  }

  test.each([
    ['rw', undefined],
    ['rw', 'rw'],
    ['ro', 'ro'],
  ] as const)('gives each client its own, %s where the export says %s', async (access, said) => {
    await established(keys({ ...(said ? { access: said } : {}) }));
    for (let i = 0; i < 3; i++) {
      const [, first] = await at.client(KEYS);
      expect(first).toBe(`1:5 ${access} nonblock 1`);
    }
    const [shown] = await at.daemon.shown();
    expect(shown?.connections).toEqual({ active: 3, total: 3 });
  });

  test('works in a container with users of its own', async () => {
    const own = await startContainer({ name: 'consumer', userns: true });
    try {
      await established(keys({ consumer_pid: own.pid }));
      const [, first] = await at.client(KEYS, own);
      expect(first).toBe('1:5 rw nonblock 1');
    } finally {
      at.daemon.set();
      await at.daemon.until({});
      await own.kill();
    }
  });

  test('revokes input devices when the link goes, at once, and says so by ending the connection', async () => {
    await established(keys());
    const [one] = await at.client(KEYS);
    const [two] = await at.client(KEYS);
    expect(await mark(one)).toBe('-');
    at.daemon.set();
    await at.daemon.until({});
    expect([await one.line(), await two.line()]).toEqual(['ended', 'ended']);
    expect([await mark(one), await mark(two)]).toEqual(['marked', 'marked']);
    expect(record.lines()).toEqual(['1:5 EVIOCREVOKE', '1:5 EVIOCREVOKE']);
  });

  test('revokes an input device when its client hangs up or dies, and no other', async () => {
    await established(keys());
    const [one] = await at.client(KEYS);
    const [two] = await at.client(KEYS);
    const [three] = await at.client(KEYS);
    one.say('hang up\n');
    await one.line();
    await eventually(async () => expect(await mark(one)).toBe('marked'));
    two.kill();
    await eventually(() => expect(record.lines().length).toBe(2));
    expect(await mark(three)).toBe('-');
  });

  test.each([
    ['role', { role: 'other' }],
    ['access', { access: 'ro' }],
  ])('takes it back when the %s of the link changes', async (_what, fields) => {
    await established(keys());
    const [client] = await at.client(KEYS);
    await at.until('established', keys(fields));
    expect(await client.line()).toBe('ended');
    expect(await mark(client)).toBe('marked');
  });

  test('takes everything back when the daemon is killed', async () => {
    await established(keys(), card({ role: 'master' }));
    const [client] = await at.client(KEYS);
    const [master] = await at.client(CARD);
    expect(await mark(master)).toBe('marked');
    const exited = at.daemon.exited();
    at.daemon.process?.kill('SIGKILL');
    await exited;
    await eventually(async () => expect(await client.line()).toBe('ended'));
    await eventually(async () => expect(await mark(client)).toBe('marked'));
    expect(await master.line()).toBe('ended');
    expect(await mark(master)).toBe('-');
    await at.daemon.launch();
  });

  test('waits with a client for a device that is not there yet', async () => {
    at.daemon.set(keys());
    await at.withError('device-missing');
    const client = at.client(KEYS);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await makeDevices();
    expect((await client)[1]).toBe('1:5 rw nonblock 1');
  });

  test('ends a client whose device does not come', async () => {
    at.daemon.set(keys());
    await at.withError('device-missing');
    expect((await at.client(KEYS))[1]).toBe('nothing');
  });

  test('ends its clients when the device is unplugged, and serves the next ones when it is back', async () => {
    await established(keys());
    const [client] = await at.client(KEYS);
    await at.inProvider('rm /run/dev/keys');
    expect(await client.line()).toBe('ended');
    await at.daemon.until({ keys: 'waiting' });
    await makeDevices();
    await at.daemon.until({ keys: 'established' });
    expect((await at.client(KEYS))[1]).toBe('1:5 rw nonblock 1');
  });

  test('serves 64 clients at a time, and the next ones when some have left', async () => {
    await established(keys());
    const script = `import socket,sys,time
all=[]
for i in range(70):
    s=socket.socket(1); s.connect('${KEYS}'); all.append((s, socket.recv_fds(s,1,1)[1]))
print(len([1 for s,f in all if f]))
for s,f in all[:10]: s.close()
time.sleep(.5)
s=socket.socket(1); s.connect('${KEYS}'); print(len(socket.recv_fds(s,1,1)[1]))`;
    const { stdout } = await at.consumer.exec(['python3', '-c', script]);
    expect(stdout.trim()).toBe('64\n1');
  });

  describe('of a card', () => {
    test('makes nobody master but the role master', async () => {
      await established(
        card(),
        card({
          name: 'gpu',
          role: 'render',
          socket: '/dev/dri/renderD200',
          target: '/run/dev/gpu',
        }),
      );
      const [any, first] = await at.client(CARD);
      const [, second] = await at.client('/run/dev/gpu');
      expect([first, second]).toEqual(['1:3 rw nonblock 1', '10:200 rw nonblock 1']);
      expect(await mark(any)).toBe('-');
      expect(record.lines()).toEqual(['1:3 DROP_MASTER', '10:200 DROP_MASTER']);
    });

    test('has one master, the newest: the one before is dropped first', async () => {
      const other = await startContainer({ name: 'other' });
      const links = [
        card({ role: 'master' }),
        card({ consumer: 'other', consumer_pid: other.pid, name: 'again', role: 'master' }),
      ];
      try {
        await established(...links);
        const [first] = await at.client(CARD);
        expect(await mark(first)).toBe('marked');
        const [second] = await at.client(CARD);
        expect(await first.line()).toBe('ended');
        expect([await mark(first), await mark(second)]).toEqual(['-', 'marked']);
        const [third] = await at.client(CARD, other);
        expect(await second.line()).toBe('ended');
        expect([await mark(second), await mark(third)]).toEqual(['-', 'marked']);
        expect(record.lines()).toEqual([
          '1:3 SET_MASTER',
          '1:3 DROP_MASTER',
          '1:3 SET_MASTER',
          '1:3 DROP_MASTER',
          '1:3 SET_MASTER',
        ]);
      } finally {
        at.daemon.set();
        await at.daemon.until({});
        await other.kill();
      }
    });

    test('has one master each', async () => {
      const second = { name: 'seven', socket: '/dev/dri/card7', target: '/run/dev/seven' };
      await established(card({ role: 'master' }), card({ ...second, role: 'master' }));
      const [one] = await at.client(CARD);
      const [two] = await at.client('/run/dev/seven');
      expect([await mark(one), await mark(two)]).toEqual(['marked', 'marked']);
    });

    test('drops its master with the link', async () => {
      await established(card({ role: 'master' }));
      const [client] = await at.client(CARD);
      at.daemon.set();
      await at.daemon.until({});
      expect(await client.line()).toBe('ended');
      expect(await mark(client)).toBe('-');
    });

    test('gives nothing where a process of the host is master', async () => {
      await established(card({ role: 'master' }));
      record.setBusy(true);
      expect((await at.client(CARD))[1]).toBe('nothing');
      expect(at.daemon.log).toContain('device-busy');
    });
  });

  describe('that leases connectors', () => {
    const lease = (...connectors: string[]) => card({ lease: connectors });

    test('hands out a lease of them in place of the card, and revokes it with the link', async () => {
      await established(lease('HDMI-A-1', 'DP-1'));
      const [client, first] = await at.client(CARD);
      expect(first).toBe('1:5 rw nonblock 1'); // what stands in for a lease
      at.daemon.set();
      await at.daemon.until({});
      expect(await client.line()).toBe('ended');
      expect(record.lines().filter((line) => line.includes('LEASE'))).toEqual([
        '1:3 CREATE_LEASE 51 52 41 42',
        '1:3 REVOKE_LEASE 1',
      ]);
    });

    test('gives it to one client at a time, the newest', async () => {
      await established(lease('HDMI-A-1'));
      const [first] = await at.client(CARD);
      const [, answer] = await at.client(CARD);
      expect(answer).toMatch(/^1:5/);
      expect(await first.line()).toBe('ended');
      expect(record.lines().filter((line) => line.includes('LEASE'))).toEqual([
        '1:3 CREATE_LEASE 51 41',
        '1:3 REVOKE_LEASE 1',
        '1:3 CREATE_LEASE 51 41',
      ]);
    });

    test('shares a card among links with other connectors, and with no others', async () => {
      const two = { ...lease('eDP-1'), name: 'two', target: '/run/dev/two' };
      const same = { ...lease('HDMI-A-1'), name: 'same', target: '/run/dev/same' };
      await established(lease('HDMI-A-1'), two, same);
      expect((await at.client(CARD))[1]).toMatch(/^1:5/);
      expect((await at.client('/run/dev/two'))[1]).toMatch(/^1:5/);
      expect((await at.client('/run/dev/same'))[1]).toBe('nothing');
      expect(at.daemon.log).toContain('HDMI-A-1 is leased to another consumer.');
    });

    test('says which connectors there are where one is not', async () => {
      await established(lease('VGA-1'));
      expect((await at.client(CARD))[1]).toBe('nothing');
      expect(at.daemon.log).toContain(
        'The card has no connector VGA-1; it has: HDMI-A-1, DP-1, eDP-1.',
      );
    });

    test('is refused for a renderer', async () => {
      await makeDevices();
      await at.refused('device-wrong', card({ lease: ['DP-1'], socket: '/dev/dri/renderD200' }));
    });
  });

  test('leaves nothing open in the daemon or its broker', async () => {
    const { readdirSync } = await import('node:fs');
    const open = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;
    const count = () => [open(at.daemon.pid), open(at.daemon.brokerPid)];
    await established(keys(), card({ lease: ['DP-1'] }));
    const before = count();
    for (let i = 0; i < 5; i++) {
      for (const path of [KEYS, CARD]) {
        const [client] = await at.client(path);
        client.kill();
      }
    }
    await eventually(() => expect(count()).toEqual(before));
  });
});
