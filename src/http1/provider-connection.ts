/**
 * One connection to a provider: sends a request, reads its answer, and is kept for the next.
 *
 *     idle     no `#requester`.  begin: to `head`; a byte, or the end of the stream: to `closed`
 *     head     of the answer, or of one more interim response before it.
 *              a final one: to `body`; 101 that was asked for: the stream is the requester's; what is no answer: to
 *              `closed`
 *     body     `#inBody`.  its end: to `idle` where the connection can be used again, else to `closed`
 *     closed   `#open` is false
 *
 * A stream that ends or breaks leads to `closed`, too, and fails the request, unless a body ends that way.
 *
 * A connection is used again only where nothing about it is in doubt: the answer was read to its end and nothing came
 * behind it, the request was sent to its end, and neither side asked for the connection's end. A byte that comes
 * without a request ends it, so no answer can be taken for another's.
 */
import type { ByteStream, ByteStreamOwner } from '../relay/byte-stream.js';
import { type Body, BodyReader, COUNTED, NO_BODY, TO_THE_END } from './body-reader.js';
import type { BodySink } from './chunk-reader.js';
import { MORE } from './fields.js';
import type { Limits } from './limits.js';
import { PartialHead } from './partial-head.js';
import { type Refusal, UNASKED_UPGRADE } from './refusal.js';
import { ResponseHead } from './response-head.js';
import { StreamWriter } from './stream-writer.js';

/** Who sends a request and is told of its answer, in this order. `data`, of BodySink, gets the body. */
export interface Requester extends BodySink {
  readonly method: string;
  /** The request was sent to its end. */
  readonly requestDone: boolean;
  /** The request asks to switch to another protocol. */
  readonly mayUpgrade: boolean;
  /** An interim response (1xx); valid during the call, as every `answer`. */
  informed(answer: ResponseHead): void;
  /** The head of the final answer, and how its body ends. */
  answered(answer: ResponseHead, body: Body): void;
  /** The answer is complete, and the connection no longer the requester's. `trailers`: lines, each with its CRLF. */
  finished(trailers: Buffer): void;
  /** 101. The stream is the requester's now; bytes `from` to `to` of the answer's buffer came behind its head. */
  upgraded(answer: ResponseHead, stream: ByteStream, from: number, to: number): void;
  /** All that came with one read has been passed on. */
  readComplete(): void;
  /** More of the request can be sent. */
  drained(): void;
  /**
   * The connection is closed before the answer is complete. `refusal`: what was wrong with the answer; null: nothing.
   */
  failed(refusal: Refusal | null): void;
}

/** Who keeps connections between requests. */
export interface ConnectionOwner {
  readonly limits: Limits;
  /** The connection is idle and may be used again. */
  kept(connection: ProviderConnection): void;
  /** The connection is closed, or its stream is the requester's. */
  gone(connection: ProviderConnection): void;
}

/** Shared for speed: a head that was read is dealt with before the next one is read. */
const answer = new ResponseHead();

export class ProviderConnection implements ByteStreamOwner {
  readonly stream: ByteStream;
  readonly output: StreamWriter;
  /** Requests that were answered on it. */
  served = 0;
  /** A byte came since the request under way began. */
  heard = false;
  /** When an idle one is closed, as performance.now() counts. */
  idleUntil = 0;
  /** The pool's count of providers at the time when it was made. */
  generation = 0;
  /** For how many seconds the provider keeps it idle, as it said; -1: it did not. */
  keptSeconds = -1;
  readonly body = new BodyReader();
  readonly #owner: ConnectionOwner;
  readonly #partial = new PartialHead();
  #requester: Requester | null = null;
  #inBody = false;
  #reusable = false;
  #open = true;

  /** Takes the stream. */
  constructor(stream: ByteStream, owner: ConnectionOwner) {
    this.stream = stream;
    this.output = new StreamWriter(stream);
    this.#owner = owner;
    stream.owner = this;
    stream.resume();
  }

  get open(): boolean {
    return this.#open;
  }

  /** The next answer is the requester's, which then writes the request. */
  begin(requester: Requester): void {
    this.#requester = requester;
    this.#inBody = false;
    this.#reusable = false;
    this.heard = false;
    this.output.chunked = false;
    this.stream.resume();
  }

  /** Closes it; the requester hears nothing more. Idempotent. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#requester = null;
    this.stream.close();
    this.#owner.gone(this);
  }

  /** The relay has moved the last bytes of the answer's body, so many. */
  moved(bytes: number): void {
    this.body.moved(bytes);
    this.stream.resume();
    if (this.body.done) this.#finish(false);
  }

  received(buffer: Buffer, from: number, to: number): void {
    this.heard = true;
    const partial = this.#partial;
    if (partial.length === 0) {
      this.#consume(buffer, from, to);
    } else if (partial.add(buffer, from, to, this.#owner.limits.head)) {
      const bytes = partial.take();
      this.#consume(bytes, 0, bytes.length);
    }
    this.#requester?.readComplete();
  }

  drained(): void {
    this.output.drained();
    this.#requester?.drained();
  }

  ended(): void {
    const complete = this.#inBody && this.body.end();
    if (complete) this.#finish(true);
    else this.#fail(null);
  }

  /** The rest of the answer may still have to be read; `ended` or `broken` follows it. */
  hungUp(): void {}

  broken(): void {
    this.#fail(null);
  }

  #consume(buffer: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to && this.#requester) {
      at = this.#inBody
        ? this.#readBody(this.#requester, buffer, at, to)
        : this.#readHead(this.#requester, buffer, at, to);
    }
    if (at < to) this.close(); // bytes that belong to no request
  }

  #readBody(requester: Requester, buffer: Buffer, from: number, to: number): number {
    const at = this.body.read(buffer, from, to, requester);
    if (this.body.fault) this.#fail(this.body.fault);
    else if (this.body.done) this.#finish(at < to);
    return at;
  }

  #readHead(requester: Requester, buffer: Buffer, from: number, to: number): number {
    const refusal = answer.read(buffer, from, to, this.#owner.limits);
    if (refusal === MORE) {
      this.#partial.keep(buffer, from, to, true);
      return to;
    }
    if (refusal !== null) {
      this.#fail(refusal);
      return to;
    }
    const at = answer.to;
    if (answer.status === 101) {
      this.#upgrade(at, to);
      return to;
    }
    if (answer.status < 200) {
      requester.informed(answer);
      return at;
    }
    this.#begin(requester);
    if (this.body.done) this.#finish(at < to);
    return at;
  }

  #begin(requester: Requester): void {
    const kind = answer.body(requester.method);
    this.#inBody = true;
    this.#reusable = answer.keepsAlive && kind !== TO_THE_END;
    this.keptSeconds = answer.keepAliveSeconds;
    this.body.begin(kind, kind === COUNTED ? answer.framing.length : 0);
    requester.answered(answer, kind);
  }

  #upgrade(at: number, to: number): void {
    const requester = this.#requester;
    if (!requester?.mayUpgrade || !requester.requestDone) {
      this.#fail(UNASKED_UPGRADE);
      return;
    }
    this.#open = false;
    this.#requester = null;
    this.stream.owner = null;
    this.stream.pause();
    this.#owner.gone(this);
    requester.upgraded(answer, this.stream, at, to);
  }

  /** The answer is complete. `spoilt`: something came behind it, or the stream ended with it. */
  #finish(spoilt: boolean): void {
    const requester = this.#requester;
    const trailers = this.body.trailers;
    const again = this.#reusable && !spoilt && (requester?.requestDone ?? false);
    this.#requester = null;
    this.#inBody = false;
    this.body.begin(NO_BODY, 0);
    this.served++;
    // Before the requester is told: its client may send the next request at once, which then needs a connection.
    if (again) this.#owner.kept(this);
    else this.close();
    requester?.finished(trailers);
  }

  #fail(refusal: Refusal | null): void {
    const requester = this.#requester;
    this.close();
    requester?.failed(refusal);
  }
}
