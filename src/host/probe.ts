/**
 * One connection that tries a link: made to the provider as any of the link's, without a byte, and seen to its end.
 *
 * The kernel completes a connection without the program that listens. So our half is closed at once: a program that
 * takes the connection reads its end, and closes its own half or says something. One that does neither may be busy,
 * or hang.
 */
import { endpointOf } from '../graph/endpoint.js';
import type { Link } from '../graph/link.js';
import { withDeadline } from '../kernel/deadline.js';
import { closeAll } from '../kernel/descriptors.js';
import { failed, ok, type Result } from '../kernel/result.js';
import type { Probed } from '../mesh/attacher.js';
import type { Identity, SocketType } from '../plugins/plugin.js';
import type { Channel } from '../relay/channel.js';
import type { LinkDevice } from './device.js';

/** For what the provider does at the end of our half, in milliseconds. */
const PATIENCE_MS = 2_000;

/** Takes the channel. `identity`: whom the provider takes us for. */
export async function tryProvider(
  channel: Channel,
  type: SocketType,
  link: Link,
  { uid }: Identity,
): Promise<Result<Probed>> {
  const reached = 'address' in endpointOf(link.socket) ? 'connected' : `connected as uid ${uid}`;
  if (type === 'dgram') {
    channel.close();
    return ok({ found: `${reached}; nothing was sent`, isProven: true });
  }
  const did = new Promise<string>((settle) => {
    channel.onData = channel.onTruncated = (_bytes, fds) => {
      closeAll(fds);
      settle('it sent something first');
    };
    channel.onEnd = (error) => settle(error ? 'it broke the connection off' : 'it closed in turn');
    channel.onClosed = () => settle('the link has ended meanwhile');
  });
  channel.end();
  channel.resume();
  const seen = await withDeadline(did, PATIENCE_MS, null);
  channel.close();
  const silent = `it neither closed in turn nor sent anything within ${PATIENCE_MS / 1000} s, so it may be busy or hang`;
  return ok({ found: `${reached}, and ${seen ?? silent}`, isProven: seen !== null });
}

/** Whoever opens a device has it: one may be master of a card by that. So it is only looked for. */
export async function lookOnly(
  { socket, provider }: Link,
  device: Pick<LinkDevice, 'look'>,
): Promise<Result<Probed>> {
  const { error } = await device.look();
  if (error) return failed(error);
  return ok({
    found: `${socket} in ${provider} is there; a device is not opened for this`,
    isProven: true,
  });
}
