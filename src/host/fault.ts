/**
 * A provider that is worse than it is, for a while: the relay does that, to all that it forwards. Connections to the
 * provider that are read here begin at a socket of ours meanwhile, and the relay joins its other end to the provider's.
 * Such a connection goes through the relay to its end, and is as any other once the fault is over.
 */
import type { LinkError } from '../kernel/errors.js';
import type { Fault } from '../mesh/attacher.js';
import { native, SOCKET_TYPES } from '../relay/native.js';
import { MAX_MS, type RelayLink } from '../relay/relay-link.js';
import type { RelayParts } from './relay-parts.js';

const REFUSED: LinkError = {
  code: 'provider-refused',
  message: 'Connections are refused for a while, as pv-xconnect fault was asked to.',
};

/** That of one link, if there is one. */
export class LinkFault {
  readonly #relay: RelayParts;
  readonly #onBegin: () => void;
  #now: { readonly refuses: boolean; readonly between: RelayLink; end(): void } | null = null;

  /** `onBegin`: connections to the provider that are kept for later are to be made anew. */
  constructor(relay: RelayParts, onBegin: () => void) {
    this.#relay = relay;
    this.#onBegin = onBegin;
  }

  /** Why no connection is made now. */
  get refusal(): LinkError | null {
    return this.#now?.refuses ? REFUSED : null;
  }

  /** Until the returned function is called. Connections outlive it. */
  begin(fault: Fault): () => void {
    this.end();
    const between = this.#relay.unlisted();
    const ends = [
      this.#relay.follow((relayLink) =>
        this.#relay.isJoiner(relayLink) ? () => undefined : relayLink.fault(fault),
      ),
      between.fault(fault),
    ];
    const now = {
      refuses: fault.refuse,
      between,
      end: () => {
        for (const end of ends) end();
        void between.close(MAX_MS);
      },
    };
    this.#now = now;
    this.#onBegin();
    return () => {
      if (this.#now === now) this.end();
    };
  }

  /** Takes a connection to the provider, and returns one that is worse; or the same, where no descriptor is left. */
  through(provider: number): number {
    if (!this.#now) return provider;
    let pair: [number, number];
    try {
      pair = native.socketPair(SOCKET_TYPES.stream);
    } catch {
      return provider;
    }
    this.#now.between.join(pair[0], provider);
    return pair[1];
  }

  end(): void {
    this.#now?.end();
    this.#now = null;
  }
}
