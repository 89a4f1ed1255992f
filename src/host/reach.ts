/**
 * How a provider is reached: a unix socket inside its root, as the link's identity, or TCP in its network
 * namespace. There alone: a pool address is the container's own, and reaching it from within depends on no bridge,
 * route or firewall of the host, and never ends at whoever has that address by now.
 *
 * Whether a TCP provider is there is asked of the kernel, and not by a connection: that would be one that the
 * provider accepts, logs, and may count.
 */
import type { Broker } from '../broker/client.js';
import { endpointOf } from '../graph/endpoint.js';
import type { Link } from '../graph/link.js';
import { errnoName } from '../kernel/errno.js';
import type { SocketType } from '../plugins/plugin.js';
import { connected } from '../relay/channel.js';
import { closeSocket } from '../relay/closing.js';
import type { Led } from '../relay/relay.js';
import type { Container } from './containers.js';
import { fixedIdentity, type Identity } from './identity.js';

const NOBODY_ASKS: Identity = { uid: 0, gid: 0 };

/** Null: connected, or there; else the errno's name. */
type Outcome = string | null;
/** The descriptor is the caller's. */
type Made = { readonly fd: number } | { readonly errno: string };

export class Reach {
  readonly #broker: Broker;
  readonly #link: Link;
  readonly #at;

  constructor(broker: Broker, link: Link) {
    this.#broker = broker;
    this.#link = link;
    this.#at = endpointOf(link.socket);
  }

  /** The identity that needs no look into the provider's passwd. TCP has none. */
  get identity(): Identity | null {
    return 'address' in this.#at ? NOBODY_ASKS : fixedIdentity(this.#link);
  }

  /** For the relay to send; null where path or address is unusable. `path`: in place of the link's socket. */
  request(
    { handle }: Container,
    type: SocketType,
    { uid, gid }: Identity,
    path?: string,
  ): Buffer | null {
    const at = path === undefined ? this.#at : { path };
    if ('address' in at) return this.#broker.encodeConnectTcp(handle, at.address);
    return this.#broker.encodeConnect(handle, type, at.path, uid, gid);
  }

  /** One attempt; the descriptor is the caller's. A handshake is given at most `timeoutMs`. */
  async connect(
    { handle }: Container,
    type: SocketType,
    { uid, gid }: Identity,
    timeoutMs: number,
  ): Promise<Made> {
    if ('path' in this.#at) {
      const made = await this.#broker.connectUnix(handle, type, this.#at.path, uid, gid);
      return made.ok ? { fd: made.value } : { errno: made.errno };
    }
    const made = await this.#broker.connectTcp(handle, this.#at.address);
    if (!made.ok) return { errno: made.errno };
    const errno = await connected(made.value, timeoutMs);
    if (errno === 0) return { fd: made.value };
    closeSocket(made.value);
    return { errno: errnoName(errno) };
  }

  /** Whether somebody listens there, who does not notice. Never rejects. */
  async probe({ handle }: Container): Promise<Outcome> {
    const found =
      'address' in this.#at
        ? await this.#broker.probeTcp(handle, this.#at.address)
        : await this.#broker.probeUnix(handle, this.#at.path);
    return found.ok ? null : found.errno;
  }
}

/**
 * A connection that leads back to its own link is none: it is closed before a byte is sent (EDEADLK). `reached`: told
 * how the provider was reached, null for well; nothing of a connection into a ring, which has no provider at its end.
 */
export function unlessBack(
  made: Made,
  led: (fd: number) => Led,
  reached: (outcome: Outcome) => void,
): Made {
  if ('fd' in made) {
    const where = led(made.fd);
    if (where === 'on') reached(null);
    if (where !== 'back') return made;
    closeSocket(made.fd);
  }
  const errno = 'fd' in made ? 'EDEADLK' : made.errno;
  reached(errno);
  return { errno };
}

/** For who has closed meanwhile: nobody else would close what is connected now. */
export function endedMeanwhile({ consumer }: Link, made: { readonly fd: number } | object) {
  if ('fd' in made) closeSocket(made.fd);
  const message = `The link of ${consumer} has ended.`;
  return { error: { code: 'container-gone', message } as const, again: false };
}
