/**
 * One request on its way to a provider, and its answer on the way back. An object serves one request after the other.
 *
 *     idle      begin: to `sent` where a connection is free, else to `waiting`
 *     waiting   for a connection.        connected: to `sent`; unreachable: 503
 *     sent      the answer is awaited.   answered: to `answering`; upgraded: the streams are joined; failed: 502, or
 *                                        once more to `waiting`; expired: 504, or 408 where the client was slow
 *     answering the head was passed on.  finished: complete; failed or expired: the answer is broken off
 *
 * Everything after a colon that is no state, and `cancel` in every state, leads back to idle. Of the fields, `#waiting`
 * is true in `waiting` alone; `#provider` is set in `sent` and `answering`; `hasAnswer` is true in `answering`. Whether
 * the request has been sent to its end (`requestDone`) is independent of these: an answer may come before.
 *
 * A request that may be repeated is repeated once, where its connection had been used before and was closed without a
 * byte of an answer (RFC 9110, 9.2.2).
 *
 * The time to the next step is limited: to the provider's answer (`answerMs`), to more of that answer (`silenceMs`), or
 * until the client sends or reads more (`idleMs`). While `waiting` it is the link's patience, which the pool
 * keeps; while the relay moves bytes, the relay keeps time.
 */
import type { LinkError } from '../kernel/errors.js';
import type { ByteStream } from '../relay/byte-stream.js';
import type { Body } from './body-reader.js';
import { ByteWriter } from './byte-writer.js';
import type { BodySink } from './chunk-reader.js';
import { deadlines, type Timed } from './deadlines.js';
import { Handover, WORTH_HANDING_OVER } from './handover.js';
import type { Waiter } from './pool.js';
import type { ProviderConnection, Requester } from './provider-connection.js';
import { type Refusal, SLOW_BODY } from './refusal.js';
import type { RequestHead } from './request-head.js';
import type { ResponseHead } from './response-head.js';
import type { Route, TimeoutKind } from './route.js';
import type { StreamWriter } from './stream-writer.js';

const RETRY_AFTER_S = 1;
/** The status that is logged where the client left before it was answered, as nginx does. */
const CLIENT_GONE = 499;
/** How long a request goes on whose client left after it had sent all of it. */
const ABANDONED_MS = 5_000;

/**
 * Who sent the request. The exchange ends with one call of `finish`, `refuse`, `breakOff` or `upgraded`, or with none.
 */
export interface Client {
  /** An interim response (1xx). */
  informed(answer: ResponseHead): void;
  /** The head of the final answer, and how its body ends. */
  answered(answer: ResponseHead, body: Body): void;
  /** A part of the answer's body. The buffer is the exchange's again when this returns. */
  data(buffer: Buffer, from: number, to: number): void;
  /** Sends what was gathered. False: it takes no more, and calls `answerDrained` when it does. */
  flush(): boolean;
  /** The stream that the relay may move the rest of a long answer to; null: there is none. */
  readonly answerSink: ByteStream | null;
  /** The answer is complete. `trailers`: header lines, each with its CRLF. */
  finish(trailers: Buffer): void;
  /** No answer comes: an error page is to be sent. */
  refuse(refusal: Refusal): void;
  /** An answer that has begun can't be completed. `cut`: since something took too long. */
  breakOff(cut?: TimeoutKind): void;
  /** More of the request's body can be sent. */
  requestDrained(): void;
  /** 101. Takes the provider's stream; bytes `from` to `to` of the answer's buffer came behind its head. */
  upgraded(answer: ResponseHead, provider: ByteStream, from: number, to: number): void;
}

/** What an exchange has to know of a request, beside the bytes to send. */
export interface RequestInfo {
  readonly method: string;
  /** For the route's log: empty where it has none. */
  readonly target: string;
  readonly host: string;
  readonly idempotent: boolean;
  readonly mayUpgrade: boolean;
  /** What follows: a body in chunks, a body of known length; or nothing, since all of it is in the writer. */
  readonly body: 'none' | 'plain' | 'chunked';
}

/** `whole`: all of the body is in the writer, or there is none. */
export function requestInfo(request: RequestHead, route: Route, whole: boolean): RequestInfo {
  return {
    method: request.method,
    target: route.log ? request.target() : '',
    host: route.log ? request.host() : '',
    idempotent: request.isIdempotent,
    mayUpgrade: request.upgrades,
    body: whole ? 'none' : request.framing.chunked ? 'chunked' : 'plain',
  };
}

/** Characters of a request that are shown. */
export const LINE_SHOWN = 200;

export class Exchange implements Requester, Waiter, Timed {
  /** The head as the provider gets it, and the body where all of it came with the head. */
  readonly writer = new ByteWriter();
  method = '';
  mayUpgrade = false;
  requestDone = true;
  deadline = Number.POSITIVE_INFINITY;
  /** The head of the answer was passed to the client. */
  hasAnswer = false;
  /** Takes more of the request's body; `requestFlush` follows once for all that came together. */
  readonly requestBody: BodySink = {
    data: (buffer, from, to) => {
      if (this.#provider) this.#provider.output.data(buffer, from, to);
      else if (this.#waiting) this.#pending.add(buffer, from, to);
    },
  };
  readonly #client: Client;
  readonly #pending = new PendingBody();
  readonly #requestHandover = new Handover();
  readonly #answerHandover = new Handover();
  #info: RequestInfo | null = null;
  /** Null: idle. */
  #route: Route | null = null;
  #provider: ProviderConnection | null = null;
  #repeated = false;
  /** The client takes no more of the answer for now. */
  #clientBlocks = false;
  #waiting = false;
  /** When the exchange ends in any case, as performance.now() counts. */
  #until = Number.POSITIVE_INFINITY;
  readonly #record = new RequestRecord();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Method and target of the last request, as the provider gets them; a long target is cut. Null: there was none. */
  get asked(): string | null {
    const { buffer, length } = this.writer;
    const line =
      buffer.toString('latin1', 0, Math.min(length, LINE_SHOWN)).split('\r\n', 1)[0] ?? '';
    return line === '' ? null : line.replace(/ HTTP\/\d\.\d$/, '');
  }

  /** A request is under way. */
  get active(): boolean {
    return this.#route !== null;
  }

  /** Sends what is in `writer`, or waits for a connection to send it on. */
  begin(route: Route, info: RequestInfo): void {
    this.#route = route;
    this.#info = info;
    this.method = info.method;
    this.mayUpgrade = info.mayUpgrade;
    this.requestDone = info.body === 'none';
    this.hasAnswer = this.#repeated = this.#clientBlocks = false;
    this.#until = Number.POSITIVE_INFINITY;
    this.#record.begin(route, info);
    deadlines.add(this);
    const connection = route.pool.take(!info.idempotent);
    if (connection) this.connected(connection);
    else this.#wait(false);
  }

  /** The request's body is complete. `trailers`: header lines, each with its CRLF. */
  requestEnd(trailers: Buffer): void {
    if (this.#waiting) {
      this.#pending.finish(trailers);
      return;
    }
    this.requestDone = true;
    this.#provider?.output.finish(trailers);
  }

  /** False: give no more of the body before the client's `requestDrained` is called. */
  requestFlush(): boolean {
    if (this.#waiting) return false;
    if (!this.#provider) return true;
    this.#progress();
    return this.#provider.output.flush();
  }

  /** Has the relay move the rest of a body, so many bytes of `source`, where it can; calls `done` after the last. */
  handRequest(source: ByteStream, bytes: number, done: () => void): void {
    const provider = this.#provider;
    const { transfer, pool } = this.#route ?? {};
    if (!provider || !transfer || !pool || this.#info?.body !== 'plain') return;
    const options = { bytes, to: 'provider', idleMs: pool.limits.idleMs } as const;
    this.#requestHandover.begin(transfer, source, provider.stream, options, ({ outcome }) => {
      if (outcome === 'all') done();
      else if (outcome === 'idle' || outcome === 'silent') this.expired();
      else if (outcome !== 'sink') this.#client.breakOff(); // the client itself broke off
      this.#progress();
    });
    this.#progress();
  }

  /** The client takes more of the answer. */
  answerDrained(): void {
    this.#clientBlocks = false;
    if (!this.#route || this.#answerHandover.active) return;
    this.#provider?.stream.resume();
    this.#progress();
  }

  /** Ends it: the client is gone, or what it sends is wrong. `status` is logged where it was not answered. */
  cancel(status = CLIENT_GONE): void {
    if (!this.hasAnswer) this.#record.status = status;
    this.#route?.pool.forget(this);
    this.#drop();
    this.#end();
  }

  /** The client left after the whole request: what it asked for is done all the same, if that takes a moment only. */
  abandon(): void {
    if (this.#until !== Number.POSITIVE_INFINITY) return;
    this.#until = performance.now() + ABANDONED_MS;
    this.#expireWithin(Number.POSITIVE_INFINITY);
  }

  connected(connection: ProviderConnection): void {
    this.#waiting = false;
    this.#provider = connection;
    connection.begin(this);
    const { output, stream } = connection;
    stream.write(this.writer.buffer, 0, this.writer.length);
    if (!this.requestDone) {
      output.chunked = this.#info?.body === 'chunked';
      this.requestDone = this.#pending.writeTo(output);
      if (output.flush()) this.#client.requestDrained();
    }
    this.#progress();
  }

  unreachable(error: LinkError): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#refuse({ status: 503, message: error.message, retryAfter: RETRY_AFTER_S });
  }

  drained(): void {
    this.#progress();
    if (!this.requestDone && !this.#requestHandover.active) this.#client.requestDrained();
  }

  informed(answer: ResponseHead): void {
    this.#client.informed(answer);
  }

  answered(answer: ResponseHead, body: Body): void {
    this.hasAnswer = true;
    this.#record.status = answer.status;
    this.#client.answered(answer, body);
  }

  data(buffer: Buffer, from: number, to: number): void {
    this.#record.bytes += to - from;
    this.#client.data(buffer, from, to);
  }

  readComplete(): void {
    if (!this.#provider) return;
    this.#clientBlocks = !this.#client.flush();
    if (this.#clientBlocks) this.#provider.stream.pause();
    if (this.hasAnswer && this.#provider.body.left >= WORTH_HANDING_OVER) {
      this.#handAnswer(this.#provider);
    }
    this.#progress();
  }

  finished(trailers: Buffer): void {
    this.#provider = null;
    this.#end();
    this.#client.finish(trailers);
  }

  upgraded(answer: ResponseHead, stream: ByteStream, from: number, to: number): void {
    this.#provider = null;
    this.#record.status = answer.status;
    this.#end();
    this.#client.upgraded(answer, stream, from, to);
  }

  failed(refusal: Refusal | null): void {
    const provider = this.#provider;
    this.#provider = null;
    const silent = refusal === null && provider?.heard === false;
    if (silent && this.#mayRepeat && provider.served > 0) {
      this.#repeated = true;
      this.#wait(true);
    } else if (this.hasAnswer) {
      this.#breakOff();
    } else {
      const found = refusal
        ? `its answer is no HTTP: ${refusal.message}`
        : 'it closed the connection';
      this.#refuse({ status: 502, message: `The provider did not answer: ${found}` });
    }
  }

  expired(): void {
    if (performance.now() >= this.#until) {
      this.cancel();
      this.#client.breakOff();
      return;
    }
    const providerIsLate = this.requestDone || this.#provider?.output.flush() === false;
    this.#record.timedOut(this.#timeoutKind(providerIsLate));
    this.#drop();
    if (this.hasAnswer) this.#breakOff();
    else if (!providerIsLate) this.#refuse(SLOW_BODY);
    else this.#refuse({ status: 504, message: 'The provider did not answer in time.' });
  }

  #timeoutKind(providerIsLate: boolean): TimeoutKind {
    if (this.hasAnswer) return this.#clientBlocks ? 'idle-timeout' : 'silence-timeout';
    return providerIsLate ? 'answer-timeout' : 'idle-timeout';
  }

  #handAnswer(provider: ProviderConnection): void {
    const { transfer, pool } = this.#route ?? {};
    const sink = this.#client.answerSink;
    if (!transfer || !pool || !sink) return;
    const { idleMs, silenceMs } = pool.limits;
    const options = { bytes: provider.body.left, to: 'consumer', idleMs, silenceMs } as const;
    this.#answerHandover.begin(transfer, provider.stream, sink, options, ({ moved, outcome }) => {
      this.#record.bytes += moved;
      if (outcome === 'all') {
        provider.moved(moved);
        return;
      }
      if (outcome === 'idle') this.#record.timedOut('idle-timeout');
      if (outcome === 'silent') this.#record.timedOut('silence-timeout');
      this.#drop();
      this.#breakOff();
    });
  }

  get #mayRepeat(): boolean {
    return !this.#repeated && this.#info?.idempotent === true && this.#info.body === 'none';
  }

  #wait(fresh: boolean): void {
    this.#waiting = true;
    this.#expireWithin(Number.POSITIVE_INFINITY); // the pool keeps the link's patience
    this.#route?.pool.wait(this, fresh);
  }

  /** Something moved: the time for the next step begins. */
  #progress(): void {
    const limits = this.#route?.pool.limits;
    if (!limits) return;
    const handedOver = this.#requestHandover.active || this.#answerHandover.active;
    if (handedOver) this.#expireWithin(Number.POSITIVE_INFINITY);
    else this.#expireWithin(limits[this.#limit]);
  }

  /** Which limit is on the next step. */
  get #limit(): 'idleMs' | 'answerMs' | 'silenceMs' {
    if (this.hasAnswer) return this.#clientBlocks ? 'idleMs' : 'silenceMs';
    return this.requestDone ? 'answerMs' : 'idleMs';
  }

  #expireWithin(ms: number): void {
    deadlines.set(this, Math.min(performance.now() + ms, this.#until));
  }

  #refuse(refusal: Refusal): void {
    this.#record.status = refusal.status;
    this.#end();
    this.#client.refuse(refusal);
  }

  #breakOff(): void {
    const { timeout } = this.#record;
    this.#end();
    this.#client.breakOff(timeout ?? undefined);
  }

  /** Closes the connection to the provider: the rest of its answer would be taken for the next one. */
  #drop(): void {
    const provider = this.#provider;
    this.#provider = null;
    provider?.close();
  }

  #end(): void {
    this.#route = null;
    this.#waiting = false;
    this.#pending.clear();
    this.#requestHandover.cancel();
    this.#answerHandover.cancel();
    deadlines.remove(this);
    this.#record.end();
  }
}

/** What came of a request's body while there was no connection to send it on: one read of the client, at most. */
class PendingBody {
  #pieces: Buffer[] = [];
  #trailers: Buffer | null = null;

  add(buffer: Buffer, from: number, to: number): void {
    this.#pieces.push(Buffer.from(buffer.subarray(from, to)));
  }

  finish(trailers: Buffer): void {
    this.#trailers = trailers;
  }

  /** Writes all of it and forgets it. True where the body is complete by that. */
  writeTo(output: StreamWriter): boolean {
    for (const piece of this.#pieces) output.data(piece, 0, piece.length);
    const trailers = this.#trailers;
    if (trailers) output.finish(trailers);
    this.clear();
    return trailers !== null;
  }

  clear(): void {
    this.#pieces = [];
    this.#trailers = null;
  }
}

/** What the route is told of a request when it begins, when it takes too long and when it ends; and its access log. */
class RequestRecord {
  /** Of the answer; 0: there was none. */
  status = 0;
  /** Bytes of the answer's body. */
  bytes = 0;
  /** What took too long; null: nothing. */
  timeout: TimeoutKind | null = null;
  #route: Route | null = null;
  #info: RequestInfo | null = null;
  /** As performance.now() counts. */
  #since = 0;

  begin(route: Route, info: RequestInfo): void {
    this.status = this.bytes = 0;
    this.timeout = null;
    this.#route = route;
    this.#info = info;
    this.#since = performance.now();
    route.onBegin?.();
  }

  timedOut(kind: TimeoutKind): void {
    this.timeout = kind;
    this.#route?.onTimeout?.(kind);
  }

  /** Idempotent. */
  end(): void {
    const route = this.#route;
    this.#route = null;
    if (!route || !this.#info) return;
    route.onEnd?.();
    if (!route.log) return;
    const { method, target, host } = this.#info;
    const { status, bytes } = this;
    const milliseconds = performance.now() - this.#since;
    const cut = this.timeout === null ? {} : { cut: this.timeout };
    route.log({ method, target, host, status, bytes, milliseconds, ...cut });
  }
}
