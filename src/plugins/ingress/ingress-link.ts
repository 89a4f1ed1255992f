/**
 * One http link: which requests are for it, who may send them, where they go, what the provider is told of the way that
 * they came, and whether it is well.
 */
import { BlockList, isIPv6 } from 'node:net';
import { prefixOf } from '../../graph/endpoint.js';
import type { Link } from '../../graph/link.js';
import {
  type ByteWriter,
  type Limits,
  type Refusal,
  type RequestHead,
  type Route,
  type RouteResult,
  refused,
  type TimeoutKind,
} from '../../http1/index.js';
import { parseCidr, type SocketAddress } from '../../kernel/ip-address.js';
import { ok } from '../../kernel/result.js';
import { asked, identityLines, LinkRoute } from '../http/link-route.js';
import type { Described, LinkHost } from '../plugin.js';
import type { Certificate } from './certificates.js';
import { Health } from './health.js';
import { below, prefixLength, type Routed } from './routes.js';

const UNWELL_RETRY_S = 5;
const HOST_NAME = Buffer.from('X-Forwarded-Host: ');
const CRLF = Buffer.from('\r\n');
/** IPv4 as a listener for IPv6 shows it. */
const MAPPED = /^::ffff:(?=\d+\.)/i;

/** The connection of a client, for who wants to see it. */
export interface Serving {
  /** Method and target. */
  readonly lastRequest: string | null;
  /** It was ended within an answer since this took too long. HTTP/2 ends the stream, and not the connection. */
  readonly cut?: TimeoutKind | undefined;
  /** As the client sent and was sent. */
  readonly bytes: { readonly in: number; readonly out: number };
}

/** The client at the other end of a connection, for all its requests. */
export interface Visitor {
  readonly remote: SocketAddress;
  /** It came by TLS. */
  readonly secure: boolean;
  /** The route to each link, made when its first request for that link comes. */
  readonly routes: WeakMap<IngressLink, Route>;
  /** Null: it was not accepted, or not yet. */
  serving: Serving | null;
  /** Tells the links that it was of use for that it has ended. */
  readonly ends: ((reason: string) => void)[];
}

/** `remote`: the client's end of the connection. An IP that is mapped into IPv6 becomes IPv4. */
export function visitorFrom({ ip, port }: SocketAddress, secure: boolean): Visitor {
  const remote = { ip: ip.replace(MAPPED, ''), port };
  return { remote, secure, routes: new WeakMap(), serving: null, ends: [] };
}

/** Its connection is closed, or was upgraded. */
export function visitorLeft(visitor: Visitor): void {
  for (const end of visitor.ends.splice(0)) end(visitor.serving?.cut ?? 'closed');
}

function describe({ serving }: Visitor): Described {
  if (!serving) return {};
  const { lastRequest, bytes } = serving;
  return { toProvider: bytes.in, toConsumer: bytes.out, ...asked(lastRequest) };
}

export class IngressLink implements Routed {
  readonly host: string;
  readonly prefix: string;
  readonly limits: Limits;
  readonly certificate: Certificate | null;
  readonly owner: LinkHost;
  readonly #link: Link;
  readonly #strips: boolean;
  readonly #linkRoute: LinkRoute;
  readonly #health: Health | null;
  readonly #allowed: BlockList | null;
  readonly #notAllowed: Refusal;

  /** Takes the certificate. */
  constructor(link: Link, owner: LinkHost, limits: Limits, certificate: Certificate | null) {
    const { strip_prefix: strips = true, health } = link.http ?? {};
    this.#link = link;
    this.owner = owner;
    this.limits = limits;
    this.certificate = certificate;
    this.host = link.host ?? '';
    this.prefix = prefixOf(link.target);
    this.#strips = strips && this.prefix !== '';
    const authority = link.target.slice(0, link.target.length - this.prefix.length);
    this.#linkRoute = new LinkRoute(link, owner, limits, { forwarded: true, authority });
    this.#allowed = link.allowFrom ? networks(link.allowFrom) : null;
    this.#notAllowed = {
      status: 403,
      message: `${link.name} is not for clients of your network.`,
    };
    this.#health = health ? new Health(link, owner, limits, health) : null;
  }

  /**
   * For a request to its host and below its prefix. The client is checked by the request, since connections are shared.
   */
  route(request: RequestHead, visitor: Visitor): RouteResult {
    if (this.#allowed && !includes(this.#allowed, visitor.remote.ip))
      return refused(this.#notAllowed);
    const complaint = this.#health?.complaint ?? null;
    if (complaint !== null) {
      const message = `${this.#link.provider} is not well: ${complaint}.`;
      return refused({ status: 503, message, retryAfter: UNWELL_RETRY_S });
    }
    const route = this.#routeFor(visitor);
    if (!this.#strips && !this.#linkRoute.hasRules) return ok(route);
    const target = request.target();
    const strip = this.#strips ? prefixLength(target, this.prefix) : 0;
    const refusal = this.#linkRoute.refusal(request, below(target, strip));
    if (refusal) return refused(refusal);
    return ok(strip === route.strip ? route : { ...route, strip });
  }

  /** No request is for it any more. */
  close(): void {
    this.certificate?.stop();
    this.#health?.stop();
    this.#linkRoute.close();
  }

  #routeFor(visitor: Visitor): Route {
    const known = visitor.routes.get(this);
    if (known) return known;
    const lines = Buffer.from(this.#linesFor(visitor), 'latin1');
    const { requests } = this.owner;
    const route: Route = {
      ...this.#linkRoute.route,
      strip: this.#strips ? this.prefix.length : 0,
      log: this.#linkRoute.logOf(visitor.remote.ip),
      onBegin: () => {
        requests.active++;
        requests.total++;
      },
      onEnd: () => {
        requests.active--;
      },
      addLines: (writer, request) => {
        writeHost(writer, request);
        writer.bytes(lines);
      },
    };
    visitor.routes.set(this, route);
    visitor.ends.push(this.owner.shares(visitor.remote, () => describe(visitor)));
    return route;
  }

  #linesFor({ remote, secure }: Visitor): string {
    const lines = [
      `X-Forwarded-For: ${remote.ip}`,
      `X-Forwarded-Proto: ${secure ? 'https' : 'http'}`,
      ...(this.#strips ? [`X-Forwarded-Prefix: ${encodeURI(this.prefix)}`] : []),
    ];
    return `${lines.join('\r\n')}\r\n${identityLines(this.#link)}`;
  }
}

function writeHost(writer: ByteWriter, { buffer, hostFrom, hostTo }: RequestHead): void {
  if (hostFrom === hostTo) return;
  writer.bytes(HOST_NAME);
  writer.copy(buffer, hostFrom, hostTo);
  writer.bytes(CRLF);
}

const familyOf = (ip: string) => (isIPv6(ip) ? 'ipv6' : 'ipv4');

/** `texts`: `IP/LENGTH` or `IP`; one that is neither adds nobody. */
function networks(texts: readonly string[]): BlockList {
  const list = new BlockList();
  for (const { ip, bits } of texts.flatMap((text) => parseCidr(text) ?? [])) {
    list.addSubnet(ip, bits, familyOf(ip));
  }
  return list;
}

function includes(list: BlockList, ip: string): boolean {
  return list.check(ip, familyOf(ip));
}
