/** What a plugin tells the forwarder: where a request goes, and what is done to it on the way. */
import type { Result } from '../kernel/result.js';
import type { ByteStream } from '../relay/byte-stream.js';
import type { RequestEdit } from './forwarding.js';
import type { Transfer } from './handover.js';
import type { Limits } from './limits.js';
import type { Lingering } from './lingering.js';
import type { ConnectionPool } from './pool.js';
import { NO_FURTHER, type Refusal, refused } from './refusal.js';
import type { RequestHead } from './request-head.js';

/** One request that has ended, for a log of them. */
export interface Served {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  /** That the client was answered; 0: none. */
  readonly status: number;
  /** Of the answer's body, as the provider sent it. */
  readonly bytes: number;
  readonly milliseconds: number;
  /** What took too long, where that ended it. */
  readonly cut?: TimeoutKind;
}

/** What was waited for too long: the head of the answer, more of it, or the client. */
export type TimeoutKind = 'answer-timeout' | 'silence-timeout' | 'idle-timeout';

export interface Route extends RequestEdit {
  readonly pool: ConnectionPool;
  /** Called once for each request that was routed here, when it has ended. Null: nobody wants to know. */
  readonly log: ((served: Served) => void) | null;
  /** Called when a request begins and when it ends, to count those under way. */
  readonly onBegin: (() => void) | null;
  readonly onEnd: (() => void) | null;
  /** Called for each request that is ended since something took too long. */
  readonly onTimeout: ((kind: TimeoutKind) => void) | null;
  /** Has the relay move the rest of a long body. Null: there is no relay. */
  readonly transfer: Transfer | null;
  /**
   * Takes two streams of an upgraded connection and moves bytes between them until both have ended. `asked`: the request
   * that it was upgraded by.
   */
  join(client: ByteStream, provider: ByteStream, asked: string | null): void;
}

/** The route of a request, or why it has none. */
export type RouteResult = Result<Route, { readonly refusal: Refusal }>;

const NO_FURTHER_ROUTE = refused(NO_FURTHER);

/** What a server is for, of one address or socket: the same for all of its connections. */
export interface Site<Description> {
  readonly limits: Limits;
  /** Where connections go that are to end; the same of all sites of the process. */
  readonly lingering: Lingering;
  /** `description`: what the plugin knows of the connection. The request is valid during the call only. */
  route(request: RequestHead, description: Description): RouteResult;
  /** The connection is closed, or was upgraded. */
  left?(description: Description): void;
}

/** As the site has it. OPTIONS that may go no further has no route (RFC 9110, 7.6.2). */
export function routeOf<Description>(
  site: Site<Description>,
  request: RequestHead,
  description: Description,
): RouteResult {
  const routed = site.route(request, description);
  return request.hops === 0 && routed.ok ? NO_FURTHER_ROUTE : routed;
}
