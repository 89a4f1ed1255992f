/**
 * One connection to a provider: sends a request, reads its answer, and is kept for the next.
 *
 * Only a connection on which everything went by the book is used again: the answer was read to its end and
 * nothing came behind it, the request was sent to its end, and neither side asked for the end. A byte that
 * comes without a request ends it, so no answer can be taken for another's.
 */
import type { ByteStream, ByteStreamOwner } from '../relay/byte-stream.js';
import { type Body, BodyReader, COUNTED, NO_BODY, TO_THE_END } from './body-reader.js';
import type { BodySink } from './chunk-reader.js';
import { MORE } from './fields.js';
import type { Limits } from './limits.js';
import { Outlet } from './outlet.js';
import { PartialHead } from './partial-head.js';
import { type Refusal, UNASKED_UPGRADE } from './refusal.js';
import { ResponseHead } from './response-head.js';

/** Whose request it is; told of the answer in this order. */
export interface Asker extends BodySink {
  readonly method: string;
  /** It was sent to its end. */
  readonly requestDone: boolean;
  /** It asked for another protocol. */
  readonly mayUpgrade: boolean;
  informed(answer: ResponseHead): void;
  answered(answer: ResponseHead, body: Body): void;
  /** The answer is complete; the connection is the asker's no more. */
  finished(trailers: Buffer): void;
  /** 101: the stream is the asker's now, with bytes `from` to `to` that came behind the head. */
  upgraded(answer: ResponseHead, stream: ByteStream, from: number, to: number): void;
  /** A turn is over. */
  turned(): void;
  /** More of the request can be sent. */
  drained(): void;
  /** The connection is gone before the answer's end. `refusal`: what was wrong with the answer. */
  failed(refusal: Refusal | null): void;
}

/** Where connections are kept. */
export interface Keeper {
  readonly limits: Limits;
  /** It may be used again. */
  kept(connection: ProviderConnection): void;
  /** It is closed, or the asker's. */
  gone(connection: ProviderConnection): void;
}

const answer = new ResponseHead();

export class ProviderConnection implements ByteStreamOwner {
  readonly stream: ByteStream;
  readonly outlet: Outlet;
  /** Requests that it has carried to the end. */
  served = 0;
  /** Of the answer under way, bytes came. */
  heard = false;
  /** When an idle one is closed, as performance.now() counts. */
  idleUntil = 0;
  /** Counts the providers of its pool: which of them it leads to. */
  generation = 0;
  /** Seconds that the provider said it keeps it; -1: it didn't. */
  keptSeconds = -1;
  readonly body = new BodyReader();
  readonly #keeper: Keeper;
  readonly #partial = new PartialHead();
  #asker: Asker | null = null;
  #inBody = false;
  #reusable = false;
  #open = true;

  /** Takes the stream. */
  constructor(stream: ByteStream, keeper: Keeper) {
    this.stream = stream;
    this.outlet = new Outlet(stream);
    this.#keeper = keeper;
    stream.owner = this;
    stream.resume();
  }

  get open(): boolean {
    return this.#open;
  }

  /** The next answer is the asker's. The request is for it to write. */
  begin(asker: Asker): void {
    this.#asker = asker;
    this.#inBody = false;
    this.#reusable = false;
    this.heard = false;
    this.outlet.chunked = false;
    this.stream.resume();
  }

  /** Ends it; the asker hears nothing more. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#asker = null;
    this.stream.close();
    this.#keeper.gone(this);
  }

  /** So many bytes of the answer's body were moved natively; they were its last. */
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
    } else if (partial.add(buffer, from, to, this.#keeper.limits.head)) {
      const bytes = partial.take();
      this.#consume(bytes, 0, bytes.length);
    }
    this.#asker?.turned();
  }

  drained(): void {
    this.outlet.drained();
    this.#asker?.drained();
  }

  ended(): void {
    const complete = this.#inBody && this.body.end();
    if (complete) this.#finish(true);
    else this.#fail(null);
  }

  /** Reading says what of the answer is still there. */
  hungUp(): void {}

  broken(): void {
    this.#fail(null);
  }

  #consume(buffer: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to && this.#asker) {
      at = this.#inBody
        ? this.#readBody(this.#asker, buffer, at, to)
        : this.#readHead(this.#asker, buffer, at, to);
    }
    if (at < to) this.close(); // nobody asked for this
  }

  #readBody(asker: Asker, buffer: Buffer, from: number, to: number): number {
    const at = this.body.read(buffer, from, to, asker);
    if (this.body.fault) this.#fail(this.body.fault);
    else if (this.body.done) this.#finish(at < to);
    return at;
  }

  #readHead(asker: Asker, buffer: Buffer, from: number, to: number): number {
    const refusal = answer.read(buffer, from, to, this.#keeper.limits);
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
      asker.informed(answer);
      return at;
    }
    this.#begin(asker);
    if (this.body.done) this.#finish(at < to);
    return at;
  }

  #begin(asker: Asker): void {
    const kind = answer.body(asker.method);
    this.#inBody = true;
    this.#reusable = answer.keepsAlive && kind !== TO_THE_END;
    this.keptSeconds = answer.keepAliveSeconds;
    this.body.begin(kind, kind === COUNTED ? answer.framing.length : 0);
    asker.answered(answer, kind);
  }

  #upgrade(at: number, to: number): void {
    const asker = this.#asker;
    if (!asker?.mayUpgrade || !asker.requestDone) {
      this.#fail(UNASKED_UPGRADE);
      return;
    }
    this.#open = false;
    this.#asker = null;
    this.stream.owner = null;
    this.stream.pause();
    this.#keeper.gone(this);
    asker.upgraded(answer, this.stream, at, to);
  }

  /** `spoilt`: nothing that comes next could be trusted. */
  #finish(spoilt: boolean): void {
    const asker = this.#asker;
    const trailers = this.body.trailers;
    const again = this.#reusable && !spoilt && (asker?.requestDone ?? false);
    this.#asker = null;
    this.#inBody = false;
    this.body.begin(NO_BODY, 0);
    this.served++;
    // Kept first: the client's next request may be waiting for a connection, and the client for its end.
    if (again) this.#keeper.kept(this);
    else this.close();
    asker?.finished(trailers);
  }

  #fail(refusal: Refusal | null): void {
    const asker = this.#asker;
    this.close();
    asker?.failed(refusal);
  }
}
