/** A bug about one of many connections in JavaScript's hands. Real sockets; the bug is the test's. */
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
