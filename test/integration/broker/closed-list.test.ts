/**
 * The table of operations in native/broker/channel.c: an operation that is forgotten in it, or that the filter does not
 * know of, is named before the broker serves anybody; and the system calls that each says it needs are enough for it.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEVICE_KINDS } from '../../../src/broker/devices.js';
import { HOST, OPS, type Op, type Reply } from '../../../src/broker/protocol.js';
import { native, PACKAGE_ROOT, SOCKET_TYPES } from '../../../src/relay/native.js';
import { brokerSources, compile } from '../../support/compile.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { RawBroker } from './raw.js';

const CHANNEL = join(PACKAGE_ROOT, 'native/broker/channel.c');
const NARROW = fileURLToPath(new URL('../../support/filter/narrow.c', import.meta.url));
const FLAGS = ['-std=gnu11', '-pthread', '-O0', '-iquote', dirname(CHANNEL)];
const O_PATH = 0o10000000;
/** A DRM device that no machine has: its node can be made, and opening it fails with ENXIO. */
const NO_DEVICE = 63;

const RECEIVER = `
import os, signal, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind('/run/received')
os.chmod('/run/received', 0o666)
print('ready', flush=True)
signal.pause()`;

const others = brokerSources().filter((path) => path !== CHANNEL);

describe('an operation of the broker', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-list-'));
  const changed = join(folder, 'channel.c');
  afterAll(() => rmSync(folder, { recursive: true }));

  /** A channel.c in which that was replaced. */
  function change(what: RegExp, by: string): void {
    const source = readFileSync(CHANNEL, 'utf8');
    expect(source).toMatch(what);
    writeFileSync(changed, source.replace(what, by));
  }

  test('that is in protocol.h and not in the table does not compile, and is named', () => {
    change(/\tOPERATION\(CHECK,[^"]*"[^"]*"\)\s*\\\n/, '');
    const argv = [...FLAGS, '-D_GNU_SOURCE', '-fsyntax-only', changed];
    const { status, stderr } = spawnSync('cc', argv, { encoding: 'utf8' });
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/error: .*PVX_OP_CHECK/);
  });

  test('that needs system calls which the filter does not know of ends the broker, and is named', () => {
    change(
      /OPERATION\(REVOKE, DAEMON, HOST, UNUSED, NONE, \w+,/,
      'OPERATION(REVOKE, DAEMON, HOST, UNUSED, NONE, 1u << 20,',
    );
    const program = compile('pvx-broker-unknown', [changed, ...others], FLAGS);
    const { status, stderr } = spawnSync(program, { encoding: 'utf8' });
    expect(stderr).toBe(
      'pvx-broker: the operation REVOKE needs system calls that its sandbox does not know of: add them to sandbox.c.\n',
    );
    expect(status).toBe(1);
  });
});

describe('the system calls that an operation says it needs are enough:', () => {
  let program: string;
  let container: TestContainer;
  let broker: RawBroker;
  let handle: number;
  let server: Server;
  let port: number;

  beforeAll(async () => {
    program = compile('pvx-broker-narrow', [NARROW, ...others], FLAGS, [CHANNEL]);
    container = await startContainer({ name: 'narrow', net: true });
    await container.exec([
      ...['sh', '-c'],
      `ip link set lo up; mkdir /dev/dri /run/nodev; mknod /dev/dri/none c 226 ${NO_DEVICE}
       mount -t tmpfs -o nodev none /run/nodev`,
    ]);
    const receiver = container.run(['python3', '-c', RECEIVER]);
    await once(receiver.stdout as NodeJS.ReadableStream, 'data');
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as { port: number }).port;
  });
  afterAll(async () => {
    server.close();
    await container.kill();
  });

  const inside = (path: string) => ({ container: handle, type: SOCKET_TYPES.dgram, path });
  const drm = DEVICE_KINDS.drm;
  const node = () => openSync(`/proc/${container.pid}/root/dev/dri/none`, O_PATH);
  const anyPort = { ip: '127.0.0.1', port: 4711 };

  /** An empty datagram from a queue that has ended. */
  async function sendDatagram(): Promise<Reply> {
    const [socket, peer] = native.socketPair(SOCKET_TYPES.dgram);
    const [queue, filled] = native.socketPair(SOCKET_TYPES.seqpacket);
    closeSync(filled);
    const reply = await broker.ask('SEND_DGRAMS', { container: handle, arg: 1 }, [socket, queue]);
    closeSync(peer);
    return reply;
  }

  /** What is planted is removed again. */
  async function plantAndRemove(): Promise<Reply> {
    const planted = await broker.ask('LISTEN_UNIX', inside('/run/planted'));
    return broker.ask('REMOVE', { arg: planted.value });
  }

  /** As the next daemon, which keeps nothing. */
  async function plantAndSweep(): Promise<Reply> {
    await broker.ask('LISTEN_UNIX', inside('/run/swept'));
    await broker.begin(1);
    const reply = await broker.ask('SWEEP', {});
    expect((await container.exec(['ls', '/run'])).stdout).not.toContain('swept');
    return reply;
  }

  /** What is asked, and the errno that this ends with; null: it succeeds. In the order that they are tried in. */
  const tries: Record<Op, [() => Promise<Pick<Reply, 'errno'>>, string | null]> = {
    HELLO: [() => broker.ask('HELLO', {}), null],
    RUNTIME: [() => broker.ask('RUNTIME', {}), 'ENOENT'],
    HOLD: [() => broker.ask('HOLD', { arg: container.pid }), null],
    RELEASE: [() => broker.ask('RELEASE', { container: handle }), null],
    LISTEN_UNIX: [() => broker.ask('LISTEN_UNIX', inside('/run/listening')), null],
    CONNECT_UNIX: [
      () => broker.ask('CONNECT_UNIX', { ...inside('/run/received'), uid: 7, gid: 7 }),
      null,
    ],
    PROBE_UNIX: [() => broker.ask('PROBE_UNIX', inside('/run/received')), null],
    READ: [() => broker.ask('READ', { container: handle, path: '/etc/passwd' }), null],
    REMOVE: [plantAndRemove, null],
    REPLY_DGRAM: [
      async () => ({ errno: await broker.reply(handle, '/run/received', [], 7) }),
      null,
    ],
    CONNECT_BUS: [() => broker.ask('CONNECT_BUS', { arg: 0, uid: 200_000 }), 'ENOENT'],
    CHECK: [() => broker.ask('CHECK', { container: handle }), null],
    SEND_DGRAMS: [sendDatagram, null],
    KEEP: [() => broker.ask('KEEP', { arg: 1 << 14 }), 'EBADF'],
    SWEEP: [plantAndSweep, null],
    FIND_NODE: [
      () => broker.ask('FIND_NODE', { container: handle, type: drm, path: '/dev/dri/none' }),
      null,
    ],
    PLANT_NODE: [
      () =>
        broker.ask('PLANT_NODE', { container: handle, type: drm, path: '/run/nodev/x' }, [node()]),
      null,
    ],
    OPEN_NODE: [() => broker.ask('OPEN_NODE', { type: drm }, [node()]), 'ENXIO'],
    REVOKE: [() => broker.ask('REVOKE', { arg: 1 << 12 }), 'EBADF'],
    READ_CARD: [() => broker.ask('READ_CARD', {}, [node()]), 'ENXIO'],
    LEASE_CARD: [() => broker.ask('LEASE_CARD', { words: [1] }, [node()]), 'ENXIO'],
    LISTEN_TCP: [() => broker.ask('LISTEN_TCP', { container: handle, address: anyPort }), null],
    CONNECT_TCP: [
      () => broker.ask('CONNECT_TCP', { container: HOST, address: { ip: '127.0.0.1', port } }),
      null,
    ],
    PROBE_TCP: [
      () => broker.ask('PROBE_TCP', { container: handle, address: anyPort }),
      'ECONNREFUSED',
    ],
  };

  test.each(Object.keys(OPS) as Op[])('%s', async (op) => {
    const args = [
      '--runtime',
      '/nonexistent',
      '--bus',
      '/nonexistent',
      '--bus-uids',
      '200000-200009',
    ];
    const environment = {
      PVX_TEST_OPERATIONS: `HOLD,${op}${['REMOVE', 'SWEEP'].includes(op) ? ',LISTEN_UNIX' : ''}`,
    };
    broker = new RawBroker(args, program, environment);
    handle = await broker.hold(container.pid);
    const [ask, expected] = tries[op];
    expect((await ask()).errno).toBe(expected);
    expect(await broker.stop()).toBe(0);
  });
});
