/** Programs that send datagrams: `logger` to a syslogd, and `systemd-notify` to who waits for its service. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { USER, useStockPair } from './support.js';

describe.runIf(['logger', 'busybox'].every(has))('logger through a dgram link', () => {
  const pair = useStockPair({ name: 'log', mode: 'dgram', socket: '/dev/log', target: '/dev/log' });
  const messages = () => readFileSync(join(pair.provider.rootDir, 'tmp/messages'), 'latin1');

  beforeAll(async () => {
    pair.run(pair.provider, ['busybox', 'syslogd', '-n', '-O', '/tmp/messages']);
    await eventually(async () => {
      expect((await pair.sh(pair.provider, 'logger is it there')).output).toBe('');
    });
    await pair.establish();
  });

  /** What the log has of it but the time, without the mesh and through it. */
  async function logged(script: string, last: string): Promise<string[][]> {
    const all: string[][] = [];
    for (const container of [pair.provider, pair.consumer]) {
      const before = messages().length;
      expect(await pair.sh(container, script)).toEqual({ code: 0, output: '' });
      await eventually(() => expect(messages().slice(before)).toContain(last));
      const lines = messages().slice(before).trim().split('\n');
      all.push(lines.map((line) => line.slice('Nov 29 00:00:00 '.length)));
    }
    return all;
  }

  test('says who speaks of what, and how much it matters', async () => {
    const [direct, through] = await logged(
      'logger -t door -p auth.err "is open"; logger -t door --id=77 closed',
      'closed',
    );
    expect(direct).toEqual([
      expect.stringMatching(/ auth\.err door: is open$/),
      expect.stringMatching(/ user\.notice door\[77\]: closed$/),
    ]);
    expect(through).toEqual(direct);
  });

  test('loses no line of thousands, and mixes none up', async () => {
    const [direct, through] = await logged('seq 3000 | logger -t count', ': 3000');
    expect(direct).toHaveLength(3000);
    expect(through).toEqual(direct);
  });
});

/** Says of each datagram what it is, whose, and how many descriptors came with it, and closes those. */
const RECEIVER = `
import array, json, os, socket, struct
os.makedirs("/run/notify", exist_ok=True)
if os.path.exists("/run/notify/socket"):
    os.unlink("/run/notify/socket")
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind("/run/notify/socket")
os.chmod("/run/notify/socket", 0o666)
server.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
print("ready", flush=True)
while True:
    data, control, _, _ = server.recvmsg(4096, 4096)
    said = {"text": data.decode(), "descriptors": 0}
    for _, kind, value in control:
        if kind == socket.SCM_RIGHTS:
            descriptors = array.array("i", value)
            said["descriptors"] = len(descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
        else:
            said["uid"], said["gid"] = struct.unpack("3i", value)[1:]
    print(json.dumps(said), flush=True)
`;

describe.runIf(has('systemd-notify'))('systemd-notify through a dgram link', () => {
  const socket = '/run/notify/socket';
  const pair = useStockPair({ name: 'notify', mode: 'dgram', socket, target: socket });
  afterEach(() => pair.reset());

  async function notified(command: string, datagrams: number): Promise<unknown[][]> {
    const receiver = pair.talk(pair.provider, ['python3', '-c', RECEIVER]);
    expect(await receiver.line()).toBe('ready');
    await pair.establish();
    const all: unknown[][] = [];
    for (const container of [pair.provider, pair.consumer]) {
      // It returns when its last datagram was taken: the barrier is a descriptor that the receiver closes.
      const script = `NOTIFY_SOCKET=${socket} systemd-notify ${command}`;
      expect(await pair.sh(container, script)).toEqual({ code: 0, output: '' });
      const said: unknown[] = [];
      while (said.length < datagrams) said.push(JSON.parse(await receiver.line()));
      all.push(said);
    }
    await pair.clear();
    return all;
  }

  test('tells a state as the user of its role, and waits until it was heard', async () => {
    const [direct, through] = await notified('--ready --status="all is well"', 2);
    expect(direct).toEqual([
      { text: 'READY=1\nSTATUS=all is well', descriptors: 0, uid: USER.uid, gid: USER.uid },
      { text: 'BARRIER=1', descriptors: 1, uid: USER.uid, gid: USER.uid },
    ]);
    expect(through).toEqual(direct);
  });

  test('may name another process', async () => {
    const [direct, through] = await notified('--pid=1 --no-block WATCHDOG=1', 1);
    expect(direct).toEqual([
      { text: 'MAINPID=1\nWATCHDOG=1', descriptors: 0, uid: USER.uid, gid: USER.uid },
    ]);
    expect(through).toEqual(direct);
  });
});
