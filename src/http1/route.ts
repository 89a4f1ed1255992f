/** Where a request goes and what is done to it on the way: what a plugin tells the forwarder. */
import type { ByteStream } from '../relay/byte-stream.js';
import type { RequestEdit } from './forwarding.js';
import type { Transfer } from './handover.js';
import type { Limits } from './limits.js';
import type { Pool } from './pool.js';
import { NO_FURTHER, type Refusal } from './refusal.js';
import type { RequestHead } from './request-head.js';

/** One request as it was dealt with, for an access log. */
export interface Served {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly status: number;
  /** Of the answer's body, as they came from the provider. */
  readonly bytes: number;
  readonly milliseconds: number;
  /** What took too long, where that ended it. */
  readonly cut?: Cut;
}

/** A request that was not waited for any longer: for the head of its answer, the rest of that, or its client. */
export type Cut = 'answer-timeout' | 'silence-timeout' | 'idle-timeout';

export interface Route extends RequestEdit {
  readonly pool: Pool;
  /** Null: nobody wants to know. Called once for each request that was routed here. */
  readonly log: ((served: Served) => void) | null;
  /** Begins and ends with a request: how many are under way is the route's to count. */
  readonly onBegin: (() => void) | null;
  readonly onEnd: (() => void) | null;
  /** Counts what is cut. */
  readonly onCut: ((cut: Cut) => void) | null;
  /** Moves long bodies natively. */
  readonly transfer: Transfer | null;
  /** Takes two streams and moves bytes between them until both have ended. */
  join(client: ByteStream, provider: ByteStream): void;
}

/** What listens: one for all its connections. */
export interface Site<Client> {
  readonly limits: Limits;
  /** `client`: who asks, as the plugin described the connection. The request is read in place, and only now. */
  route(request: RequestHead, client: Client): Route | Refusal;
}

/** Where a request goes, or why it goes nowhere. */
export function routeOf<Client>(
  site: Site<Client>,
  request: RequestHead,
  client: Client,
): Route | Refusal {
  const found = site.route(request, client);
  return request.hops === 0 && !('status' in found) ? NO_FURTHER : found;
}
