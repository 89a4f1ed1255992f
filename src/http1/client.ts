/** What an exchange needs of whoever asked, and what it is told of the request. */
import type { ByteStream } from '../relay/byte-stream.js';
import type { Body } from './body-reader.js';
import type { Refusal } from './refusal.js';
import type { RequestHead } from './request-head.js';
import type { ResponseHead } from './response-head.js';
import type { Route } from './route.js';

/** Who asked. One call at most of `finish`, `refuse`, `breakOff` and `upgraded` ends the exchange. */
export interface Client {
  informed(answer: ResponseHead): void;
  answered(answer: ResponseHead, body: Body): void;
  data(buffer: Buffer, from: number, to: number): void;
  /** False: no more before `answerDrained`. */
  flush(): boolean;
  /** Where a long answer may go on without us; null: nowhere. */
  readonly answerSink: ByteStream | null;
  finish(trailers: Buffer): void;
  /** Instead of an answer. */
  refuse(refusal: Refusal): void;
  /** The answer can't be completed. */
  breakOff(): void;
  /** More of the request can be sent. */
  requestDrained(): void;
  upgraded(answer: ResponseHead, provider: ByteStream, from: number, to: number): void;
}

export interface Start {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly idempotent: boolean;
  readonly mayUpgrade: boolean;
  /** The body follows, as chunks or as it stands; else all of it is in the writer. */
  readonly body: 'none' | 'plain' | 'chunked';
}

/** `whole`: all of the body is in the writer, or there is none. */
export function startOf(request: RequestHead, route: Route, whole: boolean): Start {
  return {
    method: request.method,
    target: route.log ? request.target() : '',
    host: route.log ? request.host() : '',
    idempotent: request.isIdempotent,
    mayUpgrade: request.upgrades,
    body: whole ? 'none' : request.framing.chunked ? 'chunked' : 'plain',
  };
}
