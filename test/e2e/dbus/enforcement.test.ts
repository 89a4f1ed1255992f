/** A link with a policy is a link: descriptors, many at once, a policy that changes, and clients that mean harm. */
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { writeMessage } from '../../../src/plugins/dbus/message-writer.js';
import { request } from '../../support/daemon.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { DENIED, LOCK, POLICY, THERMOSTAT, UNKNOWN, VAULT } from './example-policy.js';
import { askBus, call, overOf, passFiles, TARGET, useBusPair } from './support.js';

const BUS = 'org.freedesktop.DBus';
const OTHER = '/run/pv/services/other.sock';

describe.runIf(isRoot() && has('dbus-daemon'))('a link with a policy', () => {
  const pair = useBusPair('--patience', '2', '--drain', '1');

  const metric = async (pattern: RegExp) =>
    Number(pattern.exec((await request(pair.daemon.control, '/metrics')) as string)?.[1] ?? 0);
  const broken = () => metric(/closes_total\{[^}]*reason="malformed"[^}]*\} (\d+)/);

  /** A connection that has authenticated and begun, as bytes. */
  const raw = async (): Promise<net.Socket> => {
    const socket = net.connect(pair.consumer.rootDir + TARGET);
    socket.on('error', () => undefined);
    socket.write('\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n');
    let said = '';
    await new Promise<void>((resolve) => {
      socket.on('data', function look(chunk: Buffer) {
        said += chunk.toString('latin1');
        if (!said.includes('OK ')) return;
        socket.off('data', look);
        resolve();
      });
    });
    return socket;
  };
  const ended = (socket: net.Socket) =>
    new Promise((resolve) => {
      socket.resume();
      socket.once('close', resolve);
    });
  const toBus = (serial: number, member: string, flags = 0) =>
    writeMessage({
      ...{ type: 1, flags, serial, member, path: '/org/freedesktop/DBus' },
      ...{ interface: BUS, destination: BUS },
    });

  test('takes descriptors from the consumer and hands its own over', async () => {
    const policy = { call: { 'org.example.Files': ['org.example.Files.*@/org/example/*'] } };
    await pair.establish({ role: '4711', policy });
    expect(await passFiles(pair)).toBe('ok');
  });

  test('answers many calls at once, each with its own answer', async () => {
    await pair.establish({ role: 'operator', policy: POLICY });
    await pair.serve(THERMOSTAT);
    await pair.serve(LOCK);
    const consumers = await Promise.all([1, 2, 3].map(() => pair.through()));
    const answers = consumers.flatMap((consumer) =>
      Array.from({ length: 200 }, (_, count) =>
        call(consumer, [THERMOSTAT, LOCK, VAULT][count % 3] as string, 'Get'),
      ),
    );
    const expected = Array.from({ length: 200 }, (_, count) => ['ok', DENIED, UNKNOWN][count % 3]);
    expect(await Promise.all(answers)).toEqual([...expected, ...expected, ...expected]);
  });

  test('passes what is longer than it puts together', async () => {
    await pair.establish({ role: 'operator', policy: POLICY });
    await pair.serve(THERMOSTAT);
    const consumer = await pair.through();
    const text = 'x'.repeat(3 * 1024 * 1024);
    const long = { signature: 's', body: [text] };
    expect(await call(consumer, THERMOSTAT, 'Set', long)).toBe('ok');
    expect(await call(consumer, LOCK, 'Set', long)).toBe(DENIED);
    expect(await call(consumer, THERMOSTAT, 'Get')).toBe('ok');
  });

  test('is attached anew when its policy changes, and the others stay as they are', async () => {
    const stays = pair.link({ target: OTHER, role: 'app', policy: { talk: [LOCK] } });
    const changes = pair.link({ role: 'operator', policy: { talk: [THERMOSTAT] } });
    await pair.establishAll(changes, stays);
    await pair.serve(THERMOSTAT);
    await pair.serve(LOCK);
    const [one, two] = [await pair.through(), await pair.through(OTHER)];
    expect(await call(one, THERMOSTAT, 'Get')).toBe('ok');
    expect(await call(two, LOCK, 'Get')).toBe('ok');
    const over = overOf(one);
    await pair.establishAll({ ...changes, policy: { talk: [LOCK] } }, stays);
    await over;
    const next = await pair.through();
    expect(await call(next, LOCK, 'Get')).toBe('ok');
    expect(await call(next, THERMOSTAT, 'Get')).toBe(UNKNOWN);
    expect(await call(two, LOCK, 'Get')).toBe('ok');
  });

  test.each([
    ['is no message', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['is no Hello', toBus(1, 'ListNames')],
    [
      'says of itself that it is 4 GiB long',
      Buffer.from(`l\x01\0\x01${'\xff'.repeat(12)}`, 'latin1'),
    ],
    ['promises descriptors that do not come', withFds(toBus(1, 'Hello'))],
  ])('ends a connection whose first message %s, and counts it', async (_what, bytes) => {
    await pair.establish({ role: 'operator', policy: POLICY });
    const before = await broken();
    const socket = await raw();
    socket.write(bytes);
    await ended(socket);
    await eventually(async () => expect(await broken()).toBe(before + 1));
  });

  test('hides names from whoever lets two calls have one serial', async () => {
    await pair.establish({ role: 'operator', policy: POLICY });
    await pair.serve(VAULT);
    await pair.serve(LOCK);
    const socket = await raw();
    let said = '';
    socket.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
    });
    socket.write(Buffer.concat([toBus(1, 'Hello'), toBus(7, 'ListNames'), toBus(7, 'GetId')]));
    socket.write(Buffer.concat([toBus(8, 'ListNames', 1), toBus(8, 'GetId'), toBus(9, 'GetId')]));
    await eventually(() => expect(said).toContain('another call with this serial'.slice(1)));
    socket.write(toBus(10, 'ListNames'));
    await eventually(() => expect(said).toContain(LOCK));
    const bus = await pair.through();
    expect(await askBus(bus, 'NameHasOwner', VAULT)).toBe(false);
    expect(said).not.toContain(VAULT);
    socket.destroy();
  });
});

/** The same message, with a header field more: UNIX_FDS = 3. */
function withFds(message: Buffer): Buffer {
  const length = message.readUInt32LE(12);
  const padded = message.subarray(0, 16 + ((length + 7) & -8));
  const all = Buffer.concat([padded, Buffer.from([9, 1, 0x75, 0, 3, 0, 0, 0])]);
  all.writeUInt32LE(all.length - 16, 12);
  return all;
}
