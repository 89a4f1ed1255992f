/**
 * Descriptors that can't be closed: a TCP socket that lingers (socket(7)) before a peer that reads nothing, a file
 * whose file system never answers. Whoever closes the last one waits, of such a file whoever closes any.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { mountUnflushed } from '../../support/file-systems.js';
import { countOpenAtRest, countOpenFiles } from '../../support/open-files.js';
import { pythonOf } from '../../support/python.js';
import { fuse } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { TARGET, UnixPair, useUnixPair } from './support.js';

const CALM = { name: 'calm', target: '/run/calm.sock' };
/** Of the neighbour, each there and back. */
const ROUNDS = 500;
const FILE = 'a file';

/** KIND TARGET WHAT CONNECTIONS EACH: so many connections with as many descriptors each; then it says so, and stays. */
const HOSTILE = `${pythonOf(import.meta.url, '../../support/lingering.py')}
import array, os, signal, socket, sys
kind, target, what, connections, each = sys.argv[1:6]
resource = __import__("resource")
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
kept = []
URGENT = ("urgent", "behind") # out of band, behind nothing or another byte
types = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET, "dgram": socket.SOCK_DGRAM}
def send(bad):
    client = socket.socket(socket.AF_UNIX, types[kind])
    client.settimeout(0.2)
    try:
        client.connect(target)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [bad]))]
        if what == "behind":
            client.send(b"G")
        for _ in range(int(each)):
            if what in URGENT:
                client.sendmsg([b"!"], rights, socket.MSG_OOB)
            else:
                client.sendmsg([b"GET / HTTP/1.1\\r\\n"], rights)
        client.close()
    except OSError:
        pass
for _ in range(int(connections)):
    if what not in ("linger", *URGENT):
        send(os.open(what, os.O_RDONLY))
        continue
    (bad, ends), (mine, yours) = lingering(), os.pipe()
    kept.append(ends)
    if os.fork() == 0: # the last to close it should be somebody else: a process that ends does not wait
        os.close(yours)
        os.read(mine, 1)
        send(bad)
        os._exit(0)
    os.close(bad)
    os.close(yours)
    os.close(mine)
    os.wait()
print("sent", flush=True)
signal.pause()
`;

/** Sends so many bytes, one after the other, each as soon as the one before is back. */
const NEIGHBOUR = `
import socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
for i in range(int(sys.argv[2])):
    sock.sendall(b"x")
    assert sock.recv(1) == b"x"
print("all came back")
`;

describe.runIf(fuse())('what a tenant sends and nobody can close', () => {
  const pair = useUnixPair('--drain', '0', '--patience', '0.2');
  afterEach(async () => {
    await pair.clear();
  });

  const hostile = (kind: string, what: string, connections = 1, each = 1) => {
    const args = [kind, TARGET, what, String(connections), String(each)];
    return pair.talk(pair.consumer, ['python3', '-c', HOSTILE, ...args]);
  };

  const both = () => [pair.daemon.daemonPid, pair.daemon.relayPid];
  const sum = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0);
  const open = () => sum(both().map((pid) => countOpenFiles(pid)));
  const openAtRest = async () => sum(await Promise.all(both().map(countOpenAtRest)));

  async function neighbourGoesOn(): Promise<void> {
    const argv = ['python3', '-c', NEIGHBOUR, CALM.target, String(ROUNDS)];
    const { stdout, stderr } = await pair.consumer.exec(argv, { timeout: 20_000 });
    expect(stdout + stderr).toBe('all came back\n');
    expect(await pair.daemon.shown()).toHaveLength(2); // nor does JavaScript stand
    await pair.ask('fds', CALM.target, '20', '5', '1'); // and others' descriptors are closed
  }

  async function links(fields: object): Promise<void> {
    await pair.serve('serve-echo');
    pair.daemon.set(pair.link(CALM), pair.link(fields));
    await pair.daemon.until({
      calm: 'established',
      raw: 'socket' in fields ? 'waiting' : 'established',
    });
    await pair.ask('fds', CALM.target, '20', '5', '1');
  }

  const ABSENT = { socket: '/run/example/nobody.sock' };
  test.each([
    ['stream', 'linger', ABSENT],
    ['stream', FILE, {}],
    ['seqpacket', 'linger', { ...ABSENT, mode: 'seqpacket' }],
    ['dgram', FILE, { ...ABSENT, mode: 'dgram' }],
    ['stream', 'urgent', ABSENT],
    ['stream', 'behind', ABSENT],
    ['stream', 'linger', { fds: false }],
    ['stream', 'urgent', { fds: false }],
    ['stream', 'linger', { ...ABSENT, type: 'rest' }],
    ['stream', 'urgent', { ...ABSENT, type: 'rest' }],
    ['stream', 'behind', { ...ABSENT, type: 'rest' }],
    ['stream', 'linger', { ...ABSENT, type: 'dbus', policy: { talk: ['org.example.*'] } }],
    ['stream', 'urgent', { ...ABSENT, type: 'dbus', policy: { talk: ['org.example.*'] } }],
    ['stream', 'behind', { ...ABSENT, type: 'dbus', policy: { talk: ['org.example.*'] } }],
  ])('as a %s (%s) keeps nobody else waiting (%o)', async (kind, what, fields) => {
    await links(fields);
    const before = await openAtRest();
    const where = `/mnt/${kind}`;
    const files = what === FILE ? await mountUnflushed(pair.consumer, where) : null;
    const tenant = hostile(kind, files ? `${where}/file` : what);
    expect(await tenant.line()).toBe('sent');
    if (files) expect(await files.line()).toBe('flush'); // somebody closes it, and waits
    await neighbourGoesOn();
    await files?.end();
    tenant.kill();
    await eventually(() => expect(open()).toBeLessThanOrEqual(before + 4));
  });

  test('is taken up to a bound, and no more', async () => {
    await links(ABSENT);
    const before = await openAtRest();
    const tenant = hostile('stream', 'linger', 100, 20);
    expect(await tenant.line()).toBe('sent');
    await neighbourGoesOn();
    expect(open()).toBeLessThan(before + 400);
    tenant.kill();
    await eventually(() => expect(open()).toBeLessThanOrEqual(before + 4));
  });
});

describe('a daemon that holds what can’t be closed', () => {
  const pair = new UnixPair(['--drain', '0', '--patience', '0.2']);
  afterEach(() => pair.tearDown());

  test('ends when it is told to', async () => {
    await pair.setUp();
    pair.daemon.set(pair.link({ socket: '/run/example/nobody.sock' }));
    await pair.daemon.until({ raw: 'waiting' });
    const args = ['stream', TARGET, 'linger', '3', '3'];
    const tenant = pair.talk(pair.consumer, ['python3', '-c', HOSTILE, ...args]);
    expect(await tenant.line()).toBe('sent');
    await eventually(async () => {
      const [shown] = await pair.daemon.shown();
      expect(shown?.connections.active).toBe(0);
    });
    expect(await pair.daemon.kill('SIGTERM')).toBe(0);
  });
});
