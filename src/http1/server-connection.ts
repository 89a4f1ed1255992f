/**
 * One connection of a client: its requests, one after the other, and their answers in that order.
 *
 *     idle     nothing was asked.            bytes: to `head`, or to `request` where they have a whole head
 *     head     `#partial` has its beginning. its end: to `request`; what is no request is refused
 *     request  `#busy`: its body is read (`#body`) and its answer awaited (`#exchange`). The answer is complete: to
 *              `idle`, or to `head` with what came early
 *     closed   `#open` is false: the client has an answer to all that it asked, or is gone
 *
 * Every refused head leads to `closed`, since what follows it can't be trusted to be a request; so does an answer after
 * which the connection is not kept (`keepAlive` of the answer, a request whose body was not read, `leave`), `#ended` in
 * `idle`, and too long a time in `idle` or `head`. A connection that is closed lingers (lingering.ts), unless the
 * client is gone.
 *
 * A request that comes before the one before it is answered waits in `#partial`. The connection is not read meanwhile,
 * so at most one read of it is kept.
 *
 * A client may send a request and leave at once: what came whole is sent on, though nobody reads its answer.
 */
import type { ByteStream, ByteStreamOwner } from '../relay/byte-stream.js';
import { AnswerWriter } from './answer-writer.js';
import { type Body, BodyReader } from './body-reader.js';
import { deadlines, type Timed } from './deadlines.js';
import { type Client, Exchange, requestInfo } from './exchange.js';
import { MORE } from './fields.js';
import { writeRequest } from './forwarding.js';
import { WORTH_HANDING_OVER } from './handover.js';
import { PartialHead } from './partial-head.js';
import { type Refusal, SLOW_HEAD } from './refusal.js';
import { RequestHead } from './request-head.js';
import type { ResponseHead } from './response-head.js';
import { type Route, routeOf, type Site, type TimeoutKind } from './route.js';

/** Bytes of a body that is sent with its head, where it came with it: such a request can be repeated. */
const SMALL_BODY = 16 * 1024;

/** Shared for speed: a head that was read is dealt with before the next one is read. */
const request = new RequestHead();

export class ServerConnection<Description> implements ByteStreamOwner, Client, Timed {
  deadline = Number.POSITIVE_INFINITY;
  readonly #stream: ByteStream;
  readonly #site: Site<Description>;
  readonly #description: Description;
  readonly #onClosed: (connection: ServerConnection<Description>) => void;
  readonly #answer: AnswerWriter;
  readonly #exchange = new Exchange(this);
  readonly #body = new BodyReader();
  readonly #partial = new PartialHead();
  /** Of the request under way. */
  #route: Route | null = null;
  /** A request is under way. */
  #busy = false;
  /** `#consume` is on the stack, and goes on with the next request by itself. */
  #consuming = false;
  /** The client sends no more. */
  #ended = false;
  /** Nothing reaches the client any more. What it sent before may still have to be read. */
  #gone = false;
  /** No request is taken after the one under way. */
  #leaving = false;
  #graceMs = 0;
  #open = true;
  /** It was ended within an answer since this took too long. */
  cut: TimeoutKind | undefined;

  /** Takes the stream. `onClosed` is called once, when nothing more is answered on it. */
  constructor(
    stream: ByteStream,
    site: Site<Description>,
    description: Description,
    onClosed: (connection: ServerConnection<Description>) => void,
  ) {
    this.#stream = stream;
    this.#site = site;
    this.#description = description;
    this.#onClosed = onClosed;
    this.#answer = new AnswerWriter(stream);
    stream.owner = this;
    deadlines.add(this);
    deadlines.within(this, site.limits.idleMs);
    stream.resume();
  }

  /** Every request is answered, and none has begun. */
  get idle(): boolean {
    return !this.#busy && this.#partial.length === 0;
  }

  /** That the client sent and was sent. */
  get bytes(): { readonly in: number; readonly out: number } {
    return { in: this.#stream.bytesIn, out: this.#stream.bytesOut };
  }

  /** Method and target of the last request that was passed on, as the provider gets it. Null: there was none. */
  get lastRequest(): string | null {
    return this.#exchange.asked;
  }

  /** Closes it once the request under way is answered. Where there is none, one may still come for `graceMs`. */
  leave(graceMs = 0): void {
    this.#leaving = true;
    this.#graceMs = graceMs;
    // Once the head of an answer has said that the connection is kept, the next one has to say the opposite.
    if (!this.#exchange.hasAnswer || graceMs === 0) this.#answer.keepAlive = false;
    if (!this.idle) return;
    if (graceMs === 0) this.#finishUp();
    else deadlines.set(this, Math.min(this.deadline, performance.now() + graceMs));
  }

  close(): void {
    if (!this.#open) return;
    this.#forget();
    this.#exchange.cancel();
    this.#stream.close();
  }

  received(buffer: Buffer, from: number, to: number): void {
    if (this.#busy) {
      const at = this.#body.done ? from : this.#readBody(buffer, from, to);
      if (at < to) this.#hold(buffer, at, to);
    } else if (this.#partial.length === 0) {
      this.#consume(buffer, from, to);
    } else if (this.#partial.add(buffer, from, to, this.#site.limits.head)) {
      this.#consumeHeld();
    }
  }

  drained(): void {
    this.#answer.output.drained();
    this.#exchange.answerDrained();
  }

  ended(): void {
    this.#ended = true;
    if (this.#busy && this.#body.done) return; // it waits for its answer
    if (!this.#busy && this.#partial.length > 0) this.#consumeHeld();
    else if (!this.#busy && this.#stream.hasUnsent) this.#finishUp();
    else this.close();
  }

  hungUp(): void {
    if (!this.#open) return;
    this.#gone = true;
    if (!this.#busy) {
      if (this.#ended) this.close(); // else reading finds its last requests, and the end
    } else if (!this.#body.done) {
      if (this.#ended) this.close(); // as above: the rest of the body may be there
    } else if (this.#exchange.hasAnswer && this.#ended && this.#partial.length === 0) {
      this.close(); // it was heard, and asked nothing more
    } else {
      this.#exchange.abandon();
      this.drained(); // what was owed to it is owed no more
    }
  }

  broken(): void {
    this.#ended = true;
    this.hungUp();
  }

  expired(): void {
    if (this.#partial.length === 0) this.#finishUp();
    else this.#reject(SLOW_HEAD);
  }

  informed(answer: ResponseHead): void {
    this.#answer.informed(answer);
  }

  answered(answer: ResponseHead, body: Body): void {
    // The rest of the request may never be read, and so nothing that follows it.
    if (!this.#exchange.requestDone) this.#answer.keepAlive = false;
    this.#answer.answered(answer, body);
  }

  data(buffer: Buffer, from: number, to: number): void {
    this.#answer.output.data(buffer, from, to);
  }

  flush(): boolean {
    return this.#answer.output.flush();
  }

  get answerSink(): ByteStream | null {
    return this.#answer.output.chunked ? null : this.#stream;
  }

  finish(trailers: Buffer): void {
    this.#answer.finish(trailers);
    this.#next();
  }

  refuse(refusal: Refusal): void {
    this.#refuse(refusal, this.#exchange.method);
    this.#next();
  }

  breakOff(cut?: TimeoutKind): void {
    this.cut = cut;
    this.flush(); // what came of the answer is sent before the end
    this.close();
  }

  requestDrained(): void {
    if (!this.#body.done) this.#stream.resume();
  }

  upgraded(answer: ResponseHead, provider: ByteStream, from: number, to: number): void {
    if (this.#gone) {
      provider.close();
      this.close();
      return;
    }
    this.#answer.switched(answer, from, to);
    const early = this.#partial.take();
    if (early.length > 0) provider.write(early, 0, early.length);
    this.#stream.owner = null;
    this.#stream.pause();
    this.#forget();
    this.#route?.join(this.#stream, provider, this.lastRequest);
  }

  /** Reads requests, until one is under way or the bytes end. */
  #consume(buffer: Buffer, from: number, to: number): void {
    let at = from;
    this.#consuming = true;
    while (at < to && !this.#busy && this.#open) {
      const refusal = request.read(buffer, at, to, this.#site.limits);
      if (refusal === MORE) {
        this.#partial.keep(buffer, at, to, true);
        if (this.#ended) this.close();
        else deadlines.within(this, this.#site.limits.headMs);
        break;
      }
      if (refusal === null) at = this.#begin(buffer, to);
      else this.#reject(refusal);
    }
    this.#consuming = false;
    if (at < to && this.#busy) this.#hold(buffer, at, to);
  }

  #consumeHeld(): void {
    const bytes = this.#partial.take();
    this.#consume(bytes, 0, bytes.length);
  }

  /** Keeps what came while a request is under way. */
  #hold(buffer: Buffer, from: number, to: number): void {
    this.#partial.add(buffer, from, to, 0);
    this.#stream.pause();
  }

  /** Begins the request whose head was just read. Returns the position behind it and what was read of its body. */
  #begin(buffer: Buffer, to: number): number {
    const routed = routeOf(this.#site, request, this.#description);
    const { framing, minor } = request;
    let at = request.to;
    this.#answer.minor = minor;
    this.#answer.keepAlive = request.keepsAlive && !this.#leaving;
    this.#answer.prefersJson = request.accept.prefersJson;
    this.#body.begin(request.body, framing.length);
    if (!routed.ok) {
      this.#refuse(routed.refusal, request.method);
      this.#next();
      return at;
    }
    const route = routed.value;
    const { writer } = this.#exchange;
    writer.reset();
    writeRequest(writer, request, route);
    if (request.hasBody && framing.length <= Math.min(SMALL_BODY, to - at) && !framing.chunked) {
      writer.copy(buffer, at, at + framing.length);
      this.#body.moved(framing.length);
      at += framing.length;
    }
    this.#busy = true;
    this.#route = route;
    this.deadline = Number.POSITIVE_INFINITY;
    this.#exchange.begin(route, requestInfo(request, route, this.#body.done));
    if (this.#gone && this.#body.done) this.#exchange.abandon();
    return this.#body.done ? at : this.#readBody(buffer, at, to);
  }

  /** Reads more of the request's body. Returns the position behind it. */
  #readBody(buffer: Buffer, from: number, to: number): number {
    const body = this.#body;
    const at = body.read(buffer, from, to, this.#exchange.requestBody);
    if (body.fault) {
      this.#exchange.cancel(body.fault.status);
      if (this.#exchange.hasAnswer) this.close();
      else this.#reject(body.fault);
      return to;
    }
    if (body.done) this.#requestEnd();
    const flows = this.#exchange.requestFlush();
    if (body.done) return at;
    const { left } = body;
    if (!flows) this.#stream.pause();
    else if (left >= WORTH_HANDING_OVER) {
      this.#exchange.handRequest(this.#stream, left, () => this.#moved(left));
    }
    return at;
  }

  /** The relay has moved the rest of the request's body, so many bytes. */
  #moved(bytes: number): void {
    this.#body.moved(bytes);
    this.#requestEnd();
    this.#stream.resume();
  }

  #requestEnd(): void {
    this.#exchange.requestEnd(this.#body.trailers);
    if (this.#gone) this.#exchange.abandon();
  }

  /** The request was answered: on to the next one, or to the end. */
  #next(): void {
    this.#busy = false;
    if (!this.#open) return;
    if (!this.#answer.keepAlive || !this.#body.done) {
      this.#finishUp();
      return;
    }
    const { idleMs } = this.#site.limits;
    deadlines.within(this, this.#leaving ? Math.min(this.#graceMs, idleMs) : idleMs);
    if (this.#consuming) return;
    if (this.#partial.length > 0) this.#consumeHeld();
    if (!this.#open || this.#busy) return;
    if (this.#ended) this.#finishUp();
    else this.#stream.resume();
  }

  /** What came is no valid request: it gets an error page, and what follows it gets nothing. */
  #reject(refusal: Refusal): void {
    this.#answer.keepAlive = false;
    this.#answer.prefersJson = false; // nothing of what it says is trusted
    this.#refuse(refusal, '');
    this.#finishUp();
  }

  #refuse(refusal: Refusal, method: string): void {
    if (!this.#body.done) this.#answer.keepAlive = false;
    this.#answer.page(refusal, method !== 'HEAD');
  }

  /** Ends the connection behind what it is still owed. */
  #finishUp(): void {
    if (!this.#open) return;
    this.#forget();
    if (this.#gone) this.#stream.close();
    else this.#site.lingering.add(this.#stream, this.#site.limits.idleMs);
  }

  /** From here on the stream is no concern of this object. */
  #forget(): void {
    this.#open = false;
    deadlines.remove(this);
    this.#onClosed(this);
  }
}
