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
import type { Client, Start } from './client.js';
import { deadlines, type Timed } from './deadlines.js';
import { EarlyBody } from './early-body.js';
import { Handover, LONG } from './handover.js';
import { Journal } from './journal.js';
import type { Waiter } from './pool.js';
import type { Asker, ProviderConnection } from './provider-connection.js';
import { type Refusal, SLOW_BODY } from './refusal.js';
import type { ResponseHead } from './response-head.js';
import type { Cut, Route } from './route.js';

const RETRY_AFTER_S = 1;
/** As nginx logs it. */
const CLIENT_GONE = 499;
/** What a client asked in full before it left has so long to be done. */
const ABANDONED_MS = 5_000;

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
      else if (this.#waiting) this.#early.add(buffer, from, to);
    },
  };
  readonly #client: Client;
  readonly #early = new EarlyBody();
  readonly #requestRun = new Handover();
  readonly #answerRun = new Handover();
  #start: Start | null = null;
  #route: Route | null = null;
  #provider: ProviderConnection | null = null;
  #retried = false;
  /** It has not yet read what came of its answer. */
  #clientIsOwed = false;
  #waiting = false;
  /** As performance.now() counts: it goes on for nobody until then. */
  #until = Number.POSITIVE_INFINITY;
  readonly #journal = new Journal();

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
    this.hasAnswer = this.#retried = this.#clientIsOwed = false;
    this.#until = Number.POSITIVE_INFINITY;
    this.#journal.begin(route, start);
    deadlines.add(this);
    const connection = route.pool.take(!start.idempotent);
    if (connection) this.connected(connection);
    else this.#wait(false);
  }

  requestEnd(trailers: Buffer): void {
    if (this.#waiting) {
      this.#early.finish(trailers);
      return;
    }
    this.requestDone = true;
    this.#provider?.outlet.finish(trailers);
  }

  /** False: no more before `requestDrained`. */
  requestFlush(): boolean {
    if (this.#waiting) return false;
    if (!this.#provider) return true;
    this.#progress();
    return this.#provider.outlet.flush();
  }

  /** The rest of a body, so many bytes, goes natively if it can; `done` when it has. */
  handRequest(source: ByteStream, bytes: number, done: () => void): void {
    const provider = this.#provider;
    const { transfer, pool } = this.#route ?? {};
    if (!provider || !transfer || !pool || this.#start?.body !== 'plain') return;
    const options = { bytes, to: 'provider', idleMs: pool.limits.idleMs } as const;
    this.#requestRun.begin(transfer, source, provider.stream, options, ({ outcome }) => {
      if (outcome === 'all') done();
      else if (outcome === 'idle' || outcome === 'silent') this.expired();
      else if (outcome !== 'sink') this.#client.breakOff(); // the client itself broke off
      this.#progress();
    });
    this.#progress();
  }

  answerDrained(): void {
    this.#clientIsOwed = false;
    if (!this.#route || this.#answerRun.active) return;
    this.#provider?.stream.resume();
    this.#progress();
  }

  /** The client is gone, or what it sends is wrong; the access log has the status then. */
  cancel(status = CLIENT_GONE): void {
    if (!this.hasAnswer) this.#journal.status = status;
    this.#route?.pool.forget(this);
    this.#drop();
    this.#end();
  }

  /** The client left, and had asked in full: that is done all the same, as long as it takes no longer than a moment. */
  abandon(): void {
    if (this.#until !== Number.POSITIVE_INFINITY) return;
    this.#until = performance.now() + ABANDONED_MS;
    this.#expireWithin(Number.POSITIVE_INFINITY);
  }

  connected(connection: ProviderConnection): void {
    this.#waiting = false;
    this.#provider = connection;
    connection.begin(this);
    const { outlet, stream } = connection;
    stream.write(this.writer.buffer, 0, this.writer.length);
    if (!this.requestDone) {
      outlet.chunked = this.#start?.body === 'chunked';
      this.requestDone = this.#early.writeTo(outlet);
      if (outlet.flush()) this.#client.requestDrained();
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
    if (!this.requestDone && !this.#requestRun.active) this.#client.requestDrained();
  }

  informed(answer: ResponseHead): void {
    this.#client.informed(answer);
  }

  answered(answer: ResponseHead, body: Body): void {
    this.hasAnswer = true;
    this.#journal.status = answer.status;
    this.#client.answered(answer, body);
  }

  data(buffer: Buffer, from: number, to: number): void {
    this.#journal.bytes += to - from;
    this.#client.data(buffer, from, to);
  }

  turned(): void {
    if (!this.#provider) return;
    this.#clientIsOwed = !this.#client.flush();
    if (this.#clientIsOwed) this.#provider.stream.pause();
    if (this.hasAnswer && this.#provider.body.left >= LONG) this.#handAnswer(this.#provider);
    this.#progress();
  }

  finished(trailers: Buffer): void {
    this.#provider = null;
    this.#end();
    this.#client.finish(trailers);
  }

  upgraded(answer: ResponseHead, stream: ByteStream, from: number, to: number): void {
    this.#provider = null;
    this.#journal.status = answer.status;
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
    if (performance.now() >= this.#until) {
      this.cancel();
      this.#client.breakOff();
      return;
    }
    const blocked = this.requestDone || this.#provider?.outlet.flush() === false;
    this.#journal.cut(this.#cutAs(blocked));
    this.#drop();
    if (this.hasAnswer) this.#breakOff();
    else if (!blocked) this.#refuse(SLOW_BODY);
    else this.#refuse({ status: 504, message: 'The provider did not answer in time.' });
  }

  #cutAs(blocked: boolean): Cut {
    if (this.hasAnswer) return this.#clientIsOwed ? 'idle-timeout' : 'silence-timeout';
    return blocked ? 'answer-timeout' : 'idle-timeout';
  }

  #handAnswer(provider: ProviderConnection): void {
    const { transfer, pool } = this.#route ?? {};
    const sink = this.#client.answerSink;
    if (!transfer || !pool || !sink) return;
    const { idleMs, silenceMs } = pool.limits;
    const options = { bytes: provider.body.left, to: 'consumer', idleMs, silenceMs } as const;
    this.#answerRun.begin(transfer, provider.stream, sink, options, ({ moved, outcome }) => {
      this.#journal.bytes += moved;
      if (outcome === 'all') {
        provider.moved(moved);
        return;
      }
      if (outcome === 'idle') this.#journal.cut('idle-timeout');
      if (outcome === 'silent') this.#journal.cut('silence-timeout');
      this.#giveUp();
    });
  }

  /** An answer stopped on its way. */
  #giveUp(): void {
    this.#drop();
    this.#breakOff();
  }

  get #mayRepeat(): boolean {
    return !this.#retried && this.#start?.idempotent === true && this.#start.body === 'none';
  }

  #wait(fresh: boolean): void {
    this.#waiting = true;
    this.#expireWithin(Number.POSITIVE_INFINITY); // the pool has the link's patience
    this.#route?.pool.wait(this, fresh);
  }

  /** A byte moved: time begins anew. */
  #progress(): void {
    const limits = this.#route?.pool.limits;
    if (!limits) return;
    const running = this.#requestRun.active || this.#answerRun.active;
    if (running) this.#expireWithin(Number.POSITIVE_INFINITY);
    else this.#expireWithin(limits[this.#waitsFor]);
  }

  get #waitsFor(): 'idleMs' | 'answerMs' | 'silenceMs' {
    if (this.hasAnswer) return this.#clientIsOwed ? 'idleMs' : 'silenceMs';
    return this.requestDone ? 'answerMs' : 'idleMs';
  }

  #expireWithin(ms: number): void {
    deadlines.set(this, Math.min(performance.now() + ms, this.#until));
  }

  #refuse(refusal: Refusal): void {
    this.#journal.status = refusal.status;
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
    this.#route = null;
    this.#waiting = false;
    this.#early.clear();
    this.#requestRun.cancel();
    this.#answerRun.cancel();
    deadlines.remove(this);
    this.#journal.end();
  }
}
