/**
 * One address, for all links that share it: HTTP/1.1, or behind TLS what the client chose.
 *
 * Links come and go, while connections belong to the address and stay. Which link a request is for is known only when
 * its head is read; limits that hold before that (of heads and of connections) are the largest of all links.
 */
import {
  DEFAULT_LIMITS,
  type Limits,
  type Lingering,
  type RequestHead,
  type RouteResult,
  refused,
  Server,
  type Site,
} from '../../http1/index.js';
import { drainThenClose } from '../../kernel/drain.js';
import type { Channel } from '../../relay/channel.js';
import type { ConnectionHandler } from '../plugin.js';
import { type IngressLink, type Visitor, visitorFrom, visitorLeft } from './ingress-link.js';
import { normalPath, RouteTable } from './routes.js';
import type { SecureFront } from './secure-front.js';

const NO_ROUTE = refused({
  status: 404,
  message: 'Nothing answers here under this host and path.',
});
const DOT_SEGMENTS = refused({
  status: 400,
  message: 'The path has dot segments, which may lead anywhere.',
});
const NAMES = Object.keys(DEFAULT_LIMITS) as readonly (keyof Limits)[];

export class Entrance implements ConnectionHandler, Site<Visitor> {
  limits: Limits = DEFAULT_LIMITS;
  readonly lingering: Lingering;
  readonly server: Server<Visitor>;
  readonly #links = new RouteTable<IngressLink>();
  readonly #front: SecureFront | null;

  /** `secure`: makes what is before it where the address has TLS. */
  constructor(lingering: Lingering, secure?: (entrance: Entrance) => SecureFront) {
    this.lingering = lingering;
    this.server = new Server<Visitor>(this);
    this.#front = secure?.(this) ?? null;
  }

  /** Requests are for this link, too. False: another link has the same host and prefix. */
  add(link: IngressLink): boolean {
    if (!this.#links.add(link)) return false;
    if (link.certificate) this.#front?.certificates.add(link.certificate);
    this.#findLimits();
    return true;
  }

  remove(link: IngressLink): void {
    this.#links.remove(link);
    if (link.certificate) this.#front?.certificates.remove(link.certificate);
    this.#findLimits();
  }

  route(request: RequestHead, visitor: Visitor): RouteResult {
    const path = normalPath(request.target());
    if (path === null) return DOT_SEGMENTS;
    const link = this.#links.find(request.host(), path);
    return link ? link.route(request, visitor) : NO_ROUTE;
  }

  left(visitor: Visitor): void {
    visitorLeft(visitor);
  }

  onConnection(client: Channel): void {
    const [any] = this.#links;
    const { remote } = client;
    if (!any || !remote) {
      client.close();
      return;
    }
    if (!this.#front) {
      const visitor = visitorFrom(remote, false);
      visitor.serving = this.server.accept(any.owner.bytes(client), visitor);
    } else if (this.#front.isFull) client.close();
    else this.#front.accept(client.release());
  }

  /** The last link has gone. Connections may finish what they have begun for `drainMs`; resolves when none is left. */
  close(drainMs: number): Promise<void> {
    const leave = async () => {
      const left = this.server.leave(drainMs);
      await this.#front?.leave(drainMs); // with handshakes, of which some become connections of the server
      await left;
      await this.server.leave(drainMs);
    };
    return drainThenClose(drainMs, leave, () => {
      this.server.close();
      this.#front?.close();
    });
  }

  #findLimits(): void {
    const all = [...this.#links].map(({ limits }) => limits);
    if (all.length === 0) return;
    const most = NAMES.map((name) => [name, Math.max(...all.map((limits) => limits[name]))]);
    this.limits = Object.fromEntries(most) as unknown as Limits;
  }
}
