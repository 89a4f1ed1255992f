/**
 * What answers at one address: for all its links, and by HTTP/1.1 or what TLS in front of it chose.
 *
 * Links come and go; the connections are the address's and stay. What holds before a request is known to be a link's
 * (its head, how many connections) is what the most generous of the links allows.
 */

import {
  DEFAULT_LIMITS,
  type Limits,
  type Refusal,
  type RequestHead,
  type Route,
  Server,
  type Site,
} from '../../http1/index.js';
import { drainThenClose } from '../../kernel/drain.js';
import type { Channel } from '../../relay/channel.js';
import type { Acceptor } from '../plugin.js';
import type { IngressLink } from './ingress-link.js';
import { normalPath, RouteTable } from './routes.js';
import type { SecureFront } from './secure-front.js';
import { type Visitor, visitorFrom } from './visitor.js';

const NO_ROUTE: Refusal = {
  status: 404,
  message: 'Nothing answers here under this host and path.',
};
const DOT_SEGMENTS: Refusal = {
  status: 400,
  message: 'The path has dot segments, which may lead anywhere.',
};
const NAMES = Object.keys(DEFAULT_LIMITS) as readonly (keyof Limits)[];

/** Of an address without TLS. */
export const openEntrance = (): Entrance => new Entrance();

export class Entrance implements Acceptor, Site<Visitor> {
  limits: Limits = DEFAULT_LIMITS;
  readonly server = new Server<Visitor>(this);
  readonly #links = new RouteTable<IngressLink>();
  readonly #front: SecureFront | null;

  constructor(secure?: (entrance: Entrance) => SecureFront) {
    this.#front = secure?.(this) ?? null;
  }

  /** False: another link has the same host and prefix. */
  add(link: IngressLink): boolean {
    if (!this.#links.add(link)) return false;
    if (link.certificate) this.#front?.certificates.add(link.certificate);
    this.#weigh();
    return true;
  }

  remove(link: IngressLink): void {
    this.#links.remove(link);
    if (link.certificate) this.#front?.certificates.remove(link.certificate);
    this.#weigh();
  }

  route(request: RequestHead, visitor: Visitor): Route | Refusal {
    const path = normalPath(request.target());
    if (path === null) return DOT_SEGMENTS;
    const link = this.#links.find(request.host(), path);
    return link ? link.route(request, visitor) : NO_ROUTE;
  }

  onConnection(client: Channel): void {
    const [any] = this.#links;
    const { remote } = client;
    if (!any || !remote) {
      client.close();
      return;
    }
    if (!this.#front) this.server.accept(any.owner.bytes(client), visitorFrom(remote.ip, false));
    else if (this.#front.isFull) client.close();
    else this.#front.accept(client.release());
  }

  /** The last link has gone. Resolves when no connection is left. */
  close(drainMs: number): Promise<void> {
    const leave = () => Promise.all([this.server.leave(), this.#front?.leave()]);
    return drainThenClose(drainMs, leave, () => {
      this.server.close();
      this.#front?.close();
    });
  }

  #weigh(): void {
    const all = [...this.#links].map(({ limits }) => limits);
    if (all.length === 0) return;
    const most = NAMES.map((name) => [name, Math.max(...all.map((limits) => limits[name]))]);
    this.limits = Object.fromEntries(most) as unknown as Limits;
  }
}
