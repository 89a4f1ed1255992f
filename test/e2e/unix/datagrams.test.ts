/** Datagrams back to clients that are bound to a path: the broker finds them in the consumer's file system. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Peer } from '../../support/peer-process.js';
import { SOCKET, TARGET, useUnixPair } from './support.js';

/** Answers each datagram, a number, with as many; the client has time to do something first. */
const SERVER = `
import os, socket, time
os.makedirs(os.path.dirname("${SOCKET}"), exist_ok=True)
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind("${SOCKET}")
print("ready", flush=True)
while True:
    data, sender = server.recvfrom(100)
    time.sleep(0.3)  # nobody here can see what the client does meanwhile
    for number in range(int(data)):
        server.sendto(b"%d" % number, sender)
`;

const CLIENT = `
import socket, time
client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
client.bind("/run/client.sock")
client.sendto(b"200", "${TARGET}")
client.settimeout(10)
got = []
while len(got) < 200:
    got.append(int(client.recv(100)))
    if len(got) % 50 == 1:
        time.sleep(0.3)  # a slow reader
print(got == list(range(200)))
`;

/** A user of the container who would have the answer go to a socket of somebody else there. */
const THIEF = (mode: string) => `
import os, socket, struct
precious = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
precious.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
precious.bind("/run/precious-${mode}.sock")
os.chmod("/run/precious-${mode}.sock", 0o${mode})
os.chmod("/tmp", 0o1777)
if os.fork() == 0:
    os.setgroups([])
    os.setgid(1234)
    os.setuid(1234)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.bind("/tmp/client-${mode}.sock")
    client.sendto(b"1", "${TARGET}")
    os.unlink("/tmp/client-${mode}.sock")
    os.symlink("/run/precious-${mode}.sock", "/tmp/client-${mode}.sock")
    os._exit(0)
precious.settimeout(2)
try:
    data, control, _, _ = precious.recvmsg(100, socket.CMSG_SPACE(12))
    print("got it from", struct.unpack("3i", control[0][2])[1:])
except socket.timeout:
    print("nothing")
`;

describe('replies to a path', () => {
  const pair = useUnixPair('--drain', '0');
  beforeAll(async () => {
    const server = new Peer(pair.provider.run(['python3', '-c', SERVER]));
    expect(await server.line()).toBe('ready');
    await pair.establish({ mode: 'dgram' });
  });
  afterEach(() => pair.reset());

  const inConsumer = async (script: string) =>
    (await pair.consumer.exec(['python3', '-c', script], { timeout: 15_000 })).stdout.trim();

  test('come in order, and wait for a client that reads slowly', async () => {
    expect(await inConsumer(CLIENT)).toBe('True');
    const [shown] = await pair.daemon.shown();
    expect(shown?.bytes.to_consumer).toBe(490);
  });

  test('reach no socket that the client itself could not write to', async () => {
    expect(await inConsumer(THIEF('600'))).toBe('nothing');
  });

  test('carry the name of nobody but the client', async () => {
    expect(await inConsumer(THIEF('666'))).toBe('got it from (1234, 1234)');
  });
});
