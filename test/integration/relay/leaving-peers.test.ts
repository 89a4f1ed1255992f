/** A peer of a channel that has left: everything that it sent before, with descriptors, is still read. Real sockets. */
import { fstatSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { closeAll } from '../../../src/kernel/descriptors.js';
import { Channel } from '../../../src/relay/channel.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import { eventually } from '../../support/wait.js';

/** A peer that has said two things, one with a descriptor, and left; what was heard of it. */
function left(leavesUnread = false): { near: Channel; told: unknown[] } {
  const [fd, far] = native.socketPair(SOCKET_TYPES.stream);
  const near = new Channel(fd);
  near.pause();
  if (leavesUnread) near.write(Buffer.from('unread'));
  const peer = new Channel(far);
  peer.pause();
  peer.write(Buffer.from('one '), [openSync('/dev/null', 'r')]);
  peer.write(Buffer.from('two'));
  peer.close();
  const told: unknown[] = [];
  near.onData = (data, fds) => {
    told.push(data.toString(), ...fds.map((one) => fstatSync(one).isCharacterDevice()));
    closeAll(fds);
  };
  near.onEnd = (error) => told.push(error ? 'broken off' : 'end');
  return { near, told };
}

test.each([
  ['that left all in order', false],
  ['that left unread what it was sent', true],
])('of a peer %s everything is read, though writing fails first', async (_, leavesUnread) => {
  const { near, told } = left(leavesUnread);
  const spare = openSync('/dev/null', 'r'); // the channel's, to be closed by it
  expect(near.write(Buffer.from('answer'))).toBe(true);
  near.write(Buffer.from('with a descriptor'), [spare]);
  expect([near.idle, told]).toEqual([true, []]);
  await near.flushed();
  near.resume();
  await eventually(() => expect(told.at(-1)).toMatch(/end|broken/));
  expect(told.slice(0, -1).join('')).toBe('one truetwo');
  near.close();
});
