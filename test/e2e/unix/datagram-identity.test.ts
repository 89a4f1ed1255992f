/** Datagrams as a log daemon or a service manager takes them: who sends is what the kernel says, and it says the role. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Peer } from '../../support/peer-process.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { SOCKET, TARGET, useUnixPair } from './support.js';

/** Prints the uid and gid of each datagram's sender, what it says, and how many descriptors it closes at once. */
const RECEIVER = `
import array, os, socket, struct
os.makedirs(os.path.dirname("${SOCKET}"), exist_ok=True)
if os.path.exists("${SOCKET}"):
    os.unlink("${SOCKET}")
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
server.bind("${SOCKET}")
os.chmod("${SOCKET}", 0o666)
print("ready", flush=True)
while True:
    data, control, _, _ = server.recvmsg(1 << 18, 4096)
    who, closed = None, 0
    for level, kind, body in control:
        if kind == socket.SCM_CREDENTIALS:
            who = struct.unpack("3i", body)[1:]
        elif kind == socket.SCM_RIGHTS:
            for fd in array.array("i", body):
                os.close(fd)
                closed += 1
    print(*who, len(data) if len(data) > 100 else data.decode().replace("\\n", " "), closed, flush=True)
`;

/** MANY: that many numbers. */
const SENDER = `
import socket, sys
client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
client.connect("${TARGET}")
for number in range(int(sys.argv[1])):
    client.send(b"%d" % number)
print("sent")
`;

describe('datagrams of a link', () => {
  const pair = useUnixPair('--drain', '0', '--patience', '2');
  let receiver: Peer;
  beforeAll(() => {
    writeFileSync(join(pair.provider.rootDir, 'etc/passwd'), 'syslog:x:1200:1300::/:/bin/sh\n');
  });
  afterEach(() => pair.clear());

  async function receive(): Promise<void> {
    receiver = pair.talk(pair.provider, ['python3', '-c', RECEIVER]);
    expect(await receiver.line()).toBe('ready');
  }

  const inConsumer = async (argv: readonly string[], timeout = 20_000) => {
    const { code, stdout, stderr } = await pair.consumer.exec(argv, { timeout });
    expect([code, stderr]).toEqual([0, '']);
    return stdout;
  };
  const send = (many: number) => inConsumer(['python3', '-c', SENDER, String(many)]);

  test.each([
    ['any', '0 0'],
    ['syslog', '1200 1300'],
    ['4711', '4711 4711'],
  ])('with role %s are those of %s', async (role, who) => {
    await receive();
    await pair.establish({ mode: 'dgram', role });
    await send(200);
    for (let i = 0; i < 200; i++) expect(await receiver.line()).toBe(`${who} ${i} 0`);
    // They are counted when the broker has said that it has sent them, which is after they came.
    await eventually(async () => {
      const [shown] = await pair.daemon.shown();
      expect(shown?.bytes.to_provider).toBe(490);
    });
  });

  test.runIf(has('logger'))('may be those of logger', async () => {
    await receive();
    await pair.establish({ mode: 'dgram', role: 'syslog' });
    await inConsumer(['logger', '-u', TARGET, '-t', 'unit', 'hello']);
    expect(await receiver.line()).toMatch(/^1200 1300 .*unit: hello 0$/);
  });

  test.runIf(has('systemd-notify'))('may be those of systemd-notify, which waits', async () => {
    await receive();
    await pair.establish({ mode: 'dgram', role: 'syslog' });
    await inConsumer(['env', `NOTIFY_SOCKET=${TARGET}`, 'systemd-notify', '--ready']);
    expect(await receiver.line()).toMatch(/^1200 1300 READY=1.* 0$/);
    expect(await receiver.line()).toBe('1200 1300 BARRIER=1 1');
  });

  test.each(['any', 'syslog'])(
    'with role %s wait once for a provider that is away, and are taken again when it is back',
    async (role) => {
      await pair.provider.exec(['rm', '-f', SOCKET]);
      pair.daemon.set(pair.link({ mode: 'dgram', role }));
      await pair.daemon.until({ raw: 'waiting' });
      expect(await send(100)).toBe('sent\n'); // each of them waiting 2 s: not within 20 s
      await receive();
      await send(1);
      expect(await receiver.line()).toMatch(/ 0 0$/);
    },
  );

  test('that find no room at the provider wait for it, in order', async () => {
    await receive();
    await pair.establish({ mode: 'dgram', role: 'syslog' });
    await send(5_000);
    for (let i = 0; i < 5_000; i++) expect(await receiver.line()).toBe(`1200 1300 ${i} 0`);
  });
});
