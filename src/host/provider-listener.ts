/**
 * A listening socket of ours in the provider, in the folder of the link's own, for protocols that hand one over. It
 * has the same name for the same link: one that a daemon left behind is replaced by its successor's.
 */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { Broker } from '../broker/client.js';
import { type Link, linkId } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import type { ProviderListener } from '../plugins/plugin.js';
import { closeSocket } from '../relay/closing.js';
import { native, SOCKET_TYPES } from '../relay/native.js';
import { listenError } from './errno.js';
import { removePlant } from './plant.js';
import type { LinkProvider } from './provider.js';

/** `ends`: what is called when the link ends. */
export async function listenBeside(
  broker: Broker,
  provider: LinkProvider,
  link: Link,
  ends: Set<() => void | Promise<void>>,
  log: Logger,
): Promise<ProviderListener | LinkError> {
  const name = createHash('sha256').update(linkId(link)).digest('hex').slice(0, 16);
  const path = posix.join(posix.dirname(link.socket), `.pvx-${name}`);
  const made = await provider.listen(path);
  if (!made?.ok) {
    const there = { ...link, consumer: link.provider, target: path };
    return listenError(there, made?.errno ?? 'ESRCH').toLinkError();
  }
  const [ours, hangup] = native.socketPair(SOCKET_TYPES.stream);
  const remove = async () => {
    if (!ends.delete(remove)) return;
    closeSocket(ours);
    await removePlant(broker, made.value.plant, path, log);
  };
  ends.add(remove);
  return { fd: made.value.fd, hangup, path, remove };
}
