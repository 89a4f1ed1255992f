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
import type { ErrnoResult } from '../kernel/result.js';
import type { SocketType } from '../plugins/plugin.js';
import { connected } from '../relay/channel.js';
import { closeSocket } from '../relay/closing.js';
import type { Container } from './containers.js';
import { fixedIdentity, type Identity } from './identity.js';

const NOBODY_ASKS: Identity = { uid: 0, gid: 0 };

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
  ): Promise<ErrnoResult<number>> {
    if ('path' in this.#at) {
      return this.#broker.connectUnix(handle, type, this.#at.path, uid, gid);
    }
    const made = await this.#broker.connectTcp(handle, this.#at.address);
    if (!made.ok) return made;
    const errno = await connected(made.value, timeoutMs);
    if (errno === 0) return made;
    closeSocket(made.value);
    return { ok: false, errno: errnoName(errno) };
  }

  /** Whether somebody listens there, who does not notice. Never rejects. */
  probe({ handle }: Container): Promise<ErrnoResult<void>> {
    return 'address' in this.#at
      ? this.#broker.probeTcp(handle, this.#at.address)
      : this.#broker.probeUnix(handle, this.#at.path);
  }
}
