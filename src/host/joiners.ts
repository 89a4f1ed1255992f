/**
 * From two connections in a plugin's hands to one of the native relay: what JavaScript still holds of either goes
 * first, then the relay has both descriptors.
 */
import type { End, JoinOptions } from '../plugins/plugin.js';
import { closeSocket } from '../relay/closing.js';
import type { RelayLink } from '../relay/relay-link.js';
import type { TransferOptions, TransferResult } from '../relay/transfer.js';

export class Joiners {
  readonly #make: (fds: boolean) => RelayLink;
  /** By whether descriptors are moved as well as bytes. */
  readonly #byFds = new Map<boolean, RelayLink>();

  constructor(make: (fds: boolean) => RelayLink) {
    this.#make = make;
  }

  /** Whether it is one of ours, of connections that were the plugin's before. */
  has(relayLink: RelayLink): boolean {
    return [...this.#byFds.values()].includes(relayLink);
  }

  /** One of an earlier daemon's goes on, as if it had been made here. */
  adopt(fds: boolean, relayLink: RelayLink): void {
    this.#byFds.set(fds, relayLink);
  }

  /** Takes both; one that was closed meanwhile ends the other. */
  join(client: End, provider: End, { fds = true, about = {} }: JoinOptions): void {
    client.pause();
    provider.pause();
    const hand = async () => {
      const [toConsumer, toProvider] = [await unsentOf(client), await unsentOf(provider)];
      const [consumerEnd, providerEnd] = [client.release(), provider.release()];
      if (consumerEnd >= 0 && providerEnd >= 0) {
        const label = Object.keys(about).length > 0 ? JSON.stringify(about) : '';
        this.#joiner(fds).join(consumerEnd, providerEnd, { toConsumer, toProvider }, label);
      } else if (consumerEnd >= 0) {
        closeSocket(consumerEnd);
      } else if (providerEnd >= 0) {
        closeSocket(providerEnd);
      }
    };
    void hand();
  }

  /** Both stay the caller's. */
  transfer(source: End, sink: End, options: TransferOptions): Promise<TransferResult> {
    return this.#joiner(false).transfer(source.fd, sink.fd, options);
  }

  #joiner(fds: boolean): RelayLink {
    const joiner = this.#byFds.get(fds) ?? this.#make(fds);
    this.#byFds.set(fds, joiner);
    return joiner;
  }
}

/** What is still to be sent to it first; nothing where it had descriptors to wait for. */
async function unsentOf(end: End): Promise<Buffer> {
  const unsent = end.takeUnsent();
  if (unsent) return unsent;
  if ('flushed' in end) await end.flushed();
  return Buffer.alloc(0);
}
