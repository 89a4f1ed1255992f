/**
 * Listeners that several links of one consumer share, one an IP:PORT: bound for the first link, kept while any link
 * is there, closed with the last. A link that comes or goes touches neither the listener nor a connection.
 *
 * Connections belong to the listener, not to a link: which link one of them is about, only its bytes say.
 */
import { endpointOf } from '../graph/endpoint.js';
import type { Link } from '../graph/link.js';
import { type LinkError, XConnectError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import { failed, valueOrThrow } from '../kernel/result.js';
import type { ConnectionHandler } from '../plugins/plugin.js';
import type { RelayLink } from '../relay/relay-link.js';
import { ChannelSet } from './channel-set.js';
import type { Container } from './containers.js';
import { bindError } from './errno.js';
import { withoutBug } from './plugin-call.js';
import type { Target } from './target.js';

export interface SharedParts {
  readonly consumer: Container;
  readonly link: Link;
  readonly log: Logger;
  /**
   * Listens at the link's target, and hands each client to the handler, as a channel of that set. `id`: of this
   * listener, for a daemon that comes after this one. Rejects with an XConnectError.
   */
  listen(id: string, channels: ChannelSet, handler: ConnectionHandler): Promise<Listening>;
}

export interface Listening {
  readonly target: Target;
  readonly relayLink: RelayLink;
}

/** One link's part in it. */
export interface Membership<T> {
  readonly handler: T;
  /** That has the listener. */
  readonly relayLink: RelayLink;
  /** As of Target. */
  watch(onChange: (error: LinkError | null) => void): () => void;
  /** Ends what is open at the address, within `drainMs`, while all links are still members. Idempotent. */
  finish(drainMs: number): Promise<unknown>;
  /** Idempotent. Resolves when the address is free, where this was the last link. */
  leave(): Promise<void>;
  /** After `leave`: where this was the last link, ends what is still open after `drainMs`. */
  close(drainMs: number): Promise<void>;
}

interface Opened extends Listening {
  readonly handler: ConnectionHandler;
  readonly channels: ChannelSet;
  finishing: Promise<unknown> | null;
}

interface Entry {
  readonly make: () => ConnectionHandler;
  readonly opened: Promise<Opened>;
  members: number;
}

export class SharedListeners {
  readonly #entries = new Map<string, Entry>();
  /** Addresses that are being given up. */
  readonly #leaving = new Map<string, Promise<void>>();

  /**
   * Links share a listener when `make` is the same function; with another one, the address is taken. Rejects with
   * an XConnectError.
   */
  async enter<T extends ConnectionHandler>(
    parts: SharedParts,
    make: () => T,
  ): Promise<Membership<T>> {
    const address = addressOf(parts);
    const key = `${parts.consumer.handle} ${address}`;
    await this.#leaving.get(key);
    const entry = this.#entries.get(key) ?? this.#open(key, address, parts, make);
    if (entry.make !== make) return valueOrThrow(failed(bindError(parts.link, 'EADDRINUSE')));
    entry.members++;
    try {
      const opened = await entry.opened;
      let left: Promise<void> | null = null;
      let isLast = false;
      return {
        handler: opened.handler as T,
        relayLink: opened.relayLink,
        watch: (onChange) => opened.target.watch(onChange),
        finish: (drainMs) => {
          const { handler } = opened;
          opened.finishing ??= withoutBug(parts.log, () => handler.close?.(drainMs));
          return opened.finishing;
        },
        leave: () => {
          if (!left) isLast = --entry.members === 0;
          left ??= isLast ? this.#leave(key, opened) : Promise.resolve();
          return left;
        },
        close: async (drainMs) => {
          if (!isLast) return;
          const { handler, channels } = opened;
          const closing = withoutBug(parts.log, () => handler.close?.(drainMs));
          await Promise.all([closing, channels.drain(drainMs)]);
          await opened.relayLink.close(0);
        },
      };
    } catch (thrown) {
      entry.members--;
      throw thrown;
    }
  }

  #open(key: string, address: string, parts: SharedParts, make: () => ConnectionHandler): Entry {
    const opened = openListener(`shared ${parts.link.consumer} ${address}`, parts, make);
    const entry: Entry = { make, opened, members: 0 };
    this.#entries.set(key, entry);
    opened.catch(() => this.#entries.delete(key));
    return entry;
  }

  async #leave(key: string, { target }: Opened): Promise<void> {
    this.#entries.delete(key);
    const removed = target.remove();
    this.#leaving.set(key, removed);
    await removed;
    this.#leaving.delete(key);
  }
}

async function openListener(
  id: string,
  parts: SharedParts,
  make: () => ConnectionHandler,
): Promise<Opened> {
  const handler = make();
  const channels = new ChannelSet();
  try {
    return { handler, channels, finishing: null, ...(await parts.listen(id, channels, handler)) };
  } catch (thrown) {
    await withoutBug(parts.log, () => handler.close?.(0));
    throw thrown;
  }
}

function addressOf({ link }: SharedParts): string {
  const at = endpointOf(link.target);
  if ('address' in at) return `${at.address.ip} ${at.address.port}`;
  const message = `${link.target} is no address: only IP:PORT can be shared.`;
  throw new XConnectError('target-invalid', message);
}
