/** Many connections in JavaScript's hands: a bug about one of them, and one whose peer is gone. Real sockets. */
import net from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { ByteChannel } from '../../../src/relay/byte-channel.js';
import type { ByteStreamOwner } from '../../../src/relay/byte-stream.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import { poller } from '../../../src/relay/poller.js';
import { eventually } from '../../support/wait.js';

afterEach(() => {
  poller.onBug = null;
});

function connection(owner: Partial<ByteStreamOwner>): net.Socket {
  const [near, far] = native.socketPair(SOCKET_TYPES.stream);
  const channel = new ByteChannel(near);
  const nothing = () => undefined;
  const rest = { drained: nothing, ended: nothing, hungUp: nothing, broken: nothing };
  channel.owner = { received: nothing, ...rest, ...owner };
  channel.resume();
  return new net.Socket({ fd: far, readable: true, writable: true, allowHalfOpen: true });
}

test.each([false, true])('ends that one alone (its end is another bug: %s)', async (again) => {
  const bugs: unknown[] = [];
  poller.onBug = (thrown) => bugs.push(thrown);
  const bug = new Error('a bug');
  const fail = () => {
    throw bug;
  };
  const told: string[] = [];
  const broken = () => {
    told.push('broken');
    if (again) fail();
  };
  const bad = connection({ received: fail, broken });
  let heard = '';
  const good = connection({
    received: (buffer, from, to) => {
      heard += buffer.toString('latin1', from, to);
    },
  });
  const closed = new Promise((resolve) => bad.resume().once('end', resolve));
  bad.write('x');
  good.write('hello'); // in the same round, perhaps
  await closed;
  await eventually(() => expect(heard).toBe('hello'));
  good.write(' again');
  await eventually(() => expect(heard).toBe('hello again'));
  expect(bugs).toEqual(again ? [bug, bug] : [bug]);
  expect(told).toEqual(['broken']);
  bad.destroy();
  good.destroy();
});

/** What the owner of a channel was told, in order; `far` is the peer. */
function watched(): { near: ByteChannel; far: number; told: string[] } {
  const [fd, far] = native.socketPair(SOCKET_TYPES.stream);
  const near = new ByteChannel(fd);
  const told: string[] = [];
  const tell = (what: string) => () => void told.push(what);
  near.owner = {
    received: (buffer, from, to) => void told.push(buffer.toString('latin1', from, to)),
    drained: tell('drained'),
    ended: tell('ended'),
    hungUp: tell('hung up'),
    broken: tell('broken'),
  };
  return { near, far, told };
}

function say(far: number, text: string): void {
  native.socketWrite(far, Buffer.from(text), 0, text.length);
}

test('a peer that leaves is gone behind all that it sent', async () => {
  const { near, far, told } = watched();
  near.resume();
  say(far, 'last words');
  native.socketClose(far);
  await eventually(() => expect(told).toEqual(['last words', 'ended', 'hung up']));
  near.close();
});

test('so it is where writing finds out first', async () => {
  const { near, far, told } = watched();
  say(far, 'last words');
  native.socketClose(far);
  near.write(Buffer.from('x'), 0, 1);
  near.resume();
  await eventually(() => expect(told).toEqual(['last words', 'ended', 'hung up']));
  near.close();
});

test('a peer that has ended, and leaves later, is gone then', async () => {
  const { near, far, told } = watched();
  near.resume();
  native.socketShutdown(far);
  await eventually(() => expect(told).toEqual(['ended']));
  native.socketClose(far);
  await eventually(() => expect(told).toEqual(['ended', 'hung up']));
  near.close();
});

test('who does not read hears at once that the peer is gone, and can read what it sent', async () => {
  const { near, far, told } = watched();
  say(far, 'last words');
  native.socketClose(far);
  await eventually(() => expect(told).toEqual(['hung up']));
  near.resume();
  await eventually(() => expect(told).toEqual(['hung up', 'last words', 'ended']));
  near.close();
});
