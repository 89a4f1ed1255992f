/**
 * The consumer's end of one link: the listener at its target, a unix socket inside the container or an address in
 * its network namespace (for EXTERNAL, the host's), and how the target is freed again.
 */
import type { Broker } from '../broker/client.js';
import { endpointOf } from '../graph/endpoint.js';
import type { Link } from '../graph/link.js';
import type { Logger } from '../kernel/log.js';
import type { SocketType } from '../plugins/plugin.js';
import type { RelayLink } from '../relay/relay.js';
import type { Container } from './containers.js';
import { bindError, listenError } from './errno.js';
import { removePlant } from './plant.js';

export interface Listener {
  /** Whoever listens takes it. */
  readonly fd: number;
  /**
   * Frees the target: the socket is taken out of the container, or the address given up by the relay link that
   * took the listener. Never rejects; called again it does nothing more.
   */
  remove(taker: RelayLink): Promise<void>;
}

/** Rejects with an XConnectError. */
export async function listenAt(
  broker: Broker,
  consumer: Container,
  link: Link,
  type: SocketType,
  log: Logger,
): Promise<Listener> {
  const target = endpointOf(link.target);
  if ('address' in target) {
    const bound = await broker.listenTcp(consumer.handle, target.address);
    if (!bound.ok) throw bindError(link, bound.errno);
    return { fd: bound.value, remove: (taker) => taker.stop() };
  }
  const planted = await broker.listenUnix(consumer.handle, type, target.path);
  if (!planted.ok) throw listenError(link, planted.errno);
  let removed: Promise<void> | null = null;
  const remove = () => {
    removed ??= removePlant(broker, planted.value.plant, link.target, log);
    return removed;
  };
  return { fd: planted.value.fd, remove };
}
