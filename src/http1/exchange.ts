/**
 * One request on its way to a provider, and its answer on the way back.
 *
 * It ends in one of four ways: the answer is complete; the client is told why there is none; an answer that had
 * begun is broken off; the client is gone. A request that can be repeated is, once, when the connection it was
 * sent on had been used before and closed without a byte of an answer (RFC 9110, 9.2.2).
 */
import type { LinkError } from '../kernel/errors.js';
import type { ByteStream } from '../relay/byte-stream.js';
import type { Body } from './body-reader.js';
import { ByteWriter } from './byte-writer.js';
import type { BodySink } from './chunk-reader.js';
import { deadlines, type Timed } from './deadlines.js';
import type { Waiter } from './pool.js';
import type { Asker, ProviderConnection } from './provider-connection.js';
import { type Refusal, SLOW_BODY } from './refusal.js';
import type { ResponseHead } from './response-head.js';
import type { Route } from './route.js';

const RETRY_AFTER_S = 1;
/** As nginx logs it. */
const CLIENT_GONE = 499;

/** Who asked. One call at most of `finish`, `refuse`, `breakOff` and `upgraded` ends the exchange. */
export interface Client {
  informed(answer: ResponseHead): void;
  answered(answer: ResponseHead, body: Body): void;
  data(buffer: Buffer, from: number, to: number): void;
  /** False: no more before `answerDrained`. */
  flush(): boolean;
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

export class Exchange implements Asker, Waiter, Timed {
  /** The head, and the body where that is known from the start. */
  readonly writer = new ByteWriter();
  method = '';
  mayUpgrade = false;
  requestDone = true;
  deadline = Number.POSITIVE_INFINITY;
  /** The answer's head has gone to the client. */
  hasAnswer = false;
  /** Where more of the body goes; `requestFlush` once for all of a turn. */
  readonly requestBody: BodySink = {
    data: (buffer, from, to) => {
      if (this.#provider) this.#provider.outlet.data(buffer, from, to);
      else if (this.#waiting) this.#early.push(Buffer.from(buffer.subarray(from, to)));
    },
  };
  readonly #client: Client;
  #start: Start | null = null;
  #route: Route | null = null;
  #provider: ProviderConnection | null = null;
  #retried = false;
  #waiting = false;
  /** Of the body, what came before there was a connection. */
  #early: Buffer[] = [];
  #earlyEnd: Buffer | null = null;
  #status = 0;
  #bytes = 0;
  #since = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  get active(): boolean {
    return this.#route !== null;
  }

  begin(route: Route, start: Start): void {
    this.#route = route;
    this.#start = start;
    this.method = start.method;
    this.mayUpgrade = start.mayUpgrade;
    this.requestDone = start.body === 'none';
    this.hasAnswer = this.#retried = false;
    this.#status = this.#bytes = 0;
    this.#since = Date.now();
    route.onBegin?.();
    deadlines.add(this);
    const connection = route.pool.take(!start.idempotent);
    if (connection) this.connected(connection);
    else this.#wait(false);
  }

  requestEnd(trailers: Buffer): void {
    if (this.#waiting) {
      this.#earlyEnd = trailers;
      return;
    }
    this.requestDone = true;
    this.#provider?.outlet.finish(trailers);
  }

  /** False: no more before `requestDrained`. */
  requestFlush(): boolean {
    if (this.#waiting) return false;
    if (!this.#provider) return true;
    this.#allow(this.requestDone);
    return this.#provider.outlet.flush();
  }

  answerDrained(): void {
    if (!this.#route) return;
    this.#provider?.stream.resume();
    this.#progress();
  }

  /** The client is gone, or what it sends is wrong; the access log has the status then. */
  cancel(status = CLIENT_GONE): void {
    if (!this.hasAnswer) this.#status = status;
    this.#route?.pool.forget(this);
    this.#drop();
    this.#end();
  }

  connected(connection: ProviderConnection): void {
    this.#waiting = false;
    this.#provider = connection;
    connection.begin(this);
    const { writer, requestDone } = this;
    const { outlet, stream } = connection;
    let flows = stream.write(writer.buffer, 0, writer.length);
    if (!requestDone) {
      outlet.chunked = this.#start?.body === 'chunked';
      flows = this.#sendEarly(connection) && flows;
      this.#client.requestDrained();
    }
    this.#allow(this.requestDone);
  }

  unreachable(error: LinkError): void {
    this.#waiting = false;
    this.#refuse({ status: 503, message: error.message, retryAfter: RETRY_AFTER_S });
  }

  drained(): void {
    this.#progress();
    if (!this.requestDone) this.#client.requestDrained();
  }

  informed(answer: ResponseHead): void {
    this.#client.informed(answer);
  }

  answered(answer: ResponseHead, body: Body): void {
    this.hasAnswer = true;
    this.#status = answer.status;
    this.#client.answered(answer, body);
  }

  data(buffer: Buffer, from: number, to: number): void {
    this.#bytes += to - from;
    this.#client.data(buffer, from, to);
  }

  turned(): void {
    if (!this.#provider) return;
    if (!this.#client.flush()) this.#provider.stream.pause();
    this.#progress();
  }

  finished(trailers: Buffer): void {
    this.#provider = null;
    this.#end();
    this.#client.finish(trailers);
  }

  upgraded(answer: ResponseHead, stream: ByteStream, from: number, to: number): void {
    this.#provider = null;
    this.#status = answer.status;
    this.#end();
    this.#client.upgraded(answer, stream, from, to);
  }

  failed(refusal: Refusal | null): void {
    const provider = this.#provider;
    this.#provider = null;
    const silent = refusal === null && provider?.heard === false;
    if (silent && this.#mayRepeat && provider.served > 0) {
      this.#retried = true;
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
    const blocked = this.requestDone || this.#provider?.outlet.flush() === false;
    this.#drop();
    if (this.hasAnswer) this.#breakOff();
    else if (!blocked) this.#refuse(SLOW_BODY);
    else this.#refuse({ status: 504, message: 'The provider did not answer in time.' });
  }

  get #mayRepeat(): boolean {
    return !this.#retried && this.#start?.idempotent === true && this.#start.body === 'none';
  }

  #wait(fresh: boolean): void {
    this.#waiting = true;
    this.deadline = Number.POSITIVE_INFINITY; // the pool has the link's patience
    this.#route?.pool.wait(this, fresh);
  }

  #sendEarly({ outlet }: ProviderConnection): boolean {
    for (const piece of this.#early.splice(0)) outlet.data(piece, 0, piece.length);
    if (this.#earlyEnd) {
      this.requestDone = true;
      outlet.finish(this.#earlyEnd);
      this.#earlyEnd = null;
    }
    return outlet.flush();
  }

  /** A byte moved: time begins anew. */
  #progress(): void {
    this.#allow(this.requestDone && !this.hasAnswer);
  }

  #allow(answer: boolean): void {
    const limits = this.#route?.pool.limits;
    if (limits) deadlines.set(this, Date.now() + (answer ? limits.answerMs : limits.idleMs));
  }

  #refuse(refusal: Refusal): void {
    this.#status = refusal.status;
    this.#end();
    this.#client.refuse(refusal);
  }

  #breakOff(): void {
    this.#end();
    this.#client.breakOff();
  }

  #drop(): void {
    const provider = this.#provider;
    this.#provider = null;
    provider?.close();
  }

  #end(): void {
    const route = this.#route;
    const start = this.#start;
    this.#route = null;
    this.#waiting = false;
    this.#early = [];
    this.#earlyEnd = null;
    deadlines.remove(this);
    if (!route || !start) return;
    route.onEnd?.();
    if (!route.log) return;
    const { method, target, host } = start;
    const milliseconds = Date.now() - this.#since;
    route.log({ method, target, host, status: this.#status, bytes: this.#bytes, milliseconds });
  }
}
