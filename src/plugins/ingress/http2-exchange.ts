/**
 * One request of an HTTP/2 client, which is forwarded as HTTP/1.1 (RFC 9113, 8). Its head is written out as text and
 * read by the same codec, so all that is refused of an HTTP/1.1 client is refused here.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import {
  type Body,
  type Client,
  Exchange,
  errorPage,
  keptTrailers,
  LARGE_HEAD,
  NO_BODY,
  prefersJson,
  type Refusal,
  RequestHead,
  type ResponseHead,
  requestInfo,
  routeOf,
  type Site,
  writeRequest,
} from '../../http1/index.js';
import {
  answerHeaders,
  pageHeaders,
  requestText,
  trailerHeaders,
  trailerText,
} from './http2-head.js';

const NOTHING: Buffer = Buffer.alloc(0);
/** HTTP/2, as Via says it. */
const VERSION = '2.0';
const MALFORMED: Refusal = { status: 400, message: 'The request is not well-formed.' };

/** Shared for speed: a head that was read is dealt with before the next one is read. */
const request = new RequestHead();

/** A repeated field takes one byte on the wire (HPACK): its size is looked at before the head is written out. */
function isLargerThan(limit: number, rawHeaders: readonly string[]): boolean {
  let size = 0;
  for (const text of rawHeaders) size += text.length;
  return size > limit;
}

export class Http2Exchange implements Client {
  readonly answerSink = null;
  readonly #stream: ServerHttp2Stream;
  readonly #session: ServerHttp2Stream['session'];
  readonly #headers: IncomingHttpHeaders;
  readonly #exchange = new Exchange(this);
  /** The client takes no more of the answer for now. */
  #blocked = false;
  /** The request has been read to its end. */
  #whole: boolean;
  /** Bytes still to come of the request's body; Infinity: its length is not known. */
  #left = Number.POSITIVE_INFINITY;
  /** Of the answer: lines, each with its CRLF. */
  #trailers: Buffer = NOTHING;
  /** Of the request, the same. */
  #requestTrailers: Buffer = NOTHING;

  /** `whole`: there is no body. */
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, whole: boolean) {
    this.#stream = stream;
    this.#session = stream.session; // a stream that has ended has no session
    this.#headers = headers;
    this.#whole = whole;
    stream.on('error', () => undefined); // 'close' follows
    stream.once('close', () => this.#closed());
    stream.on('trailers', (_headers: unknown, _flags: unknown, raw: string[]) =>
      this.#trailed(raw),
    );
    stream.on('drain', () => {
      this.#blocked = false;
      this.#exchange.answerDrained();
    });
  }

  /** It waits for the provider, or for a client that is slow. */
  get active(): boolean {
    return this.#exchange.active;
  }

  /** `rawHeaders`: names and values by turns. A request that is refused is answered here. */
  begin<D>(rawHeaders: readonly string[], site: Site<D>, description: D): void {
    if (isLargerThan(site.limits.head, rawHeaders)) {
      this.refuse(LARGE_HEAD);
      return;
    }
    const text = requestText(this.#headers, rawHeaders, this.#whole);
    const bytes = Buffer.from(text ?? '', 'latin1');
    const refusal = text === null ? MALFORMED : request.read(bytes, 0, bytes.length, site.limits);
    if (refusal !== null) {
      this.refuse(refusal === 0 ? MALFORMED : refusal);
      return;
    }
    // A head that announces a body where none follows would be waited for.
    if (this.#whole && request.hasBody) {
      this.refuse(MALFORMED);
      return;
    }
    const routed = routeOf(site, request, description);
    if (!routed.ok) {
      this.refuse(routed.refusal);
      return;
    }
    const route = routed.value;
    const { writer } = this.#exchange;
    writer.reset();
    writeRequest(writer, request, route, VERSION);
    if (!request.framing.chunked) this.#left = Math.max(0, request.framing.length);
    this.#exchange.begin(route, requestInfo(request, route, this.#whole));
    if (this.#whole) return;
    this.#stream.on('data', (chunk: Buffer) => this.#received(chunk));
    this.#stream.on('end', () => this.#ended());
  }

  informed(answer: ResponseHead): void {
    if (this.#isOver) return;
    try {
      this.#stream.additionalHeaders(answerHeaders(answer));
    } catch {
      // It has a field that HTTP/2 forbids there. The client does not depend on an interim response.
    }
  }

  answered(answer: ResponseHead, body: Body): void {
    if (this.#isOver) return;
    const endStream = body === NO_BODY;
    const options = { endStream, sendDate: false, waitForTrailers: !endStream };
    this.#stream.once('wantTrailers', () => this.#sendTrailers());
    try {
      this.#stream.respond(answerHeaders(answer), options);
    } catch {
      this.breakOff(); // it has a field that HTTP/2 forbids, or twice one that may be there once
    }
  }

  data(buffer: Buffer, from: number, to: number): void {
    if (this.#isOver) return;
    if (!this.#stream.write(Buffer.from(buffer.subarray(from, to)))) this.#blocked = true;
  }

  flush(): boolean {
    return !this.#blocked;
  }

  finish(trailers: Buffer): void {
    this.#trailers = trailers;
    this.#end(NOTHING);
  }

  /** Answers in place of the provider, if nothing was answered yet. */
  refuse(refusal: Refusal): void {
    if (this.#isOver || this.#stream.headersSent) return;
    const page = errorPage(refusal, prefersJson(this.#headers.accept ?? ''));
    const options = { endStream: false, sendDate: false };
    this.#stream.respond(pageHeaders(page), options);
    this.#end(this.#headers[':method'] === 'HEAD' ? NOTHING : page.body);
  }

  breakOff(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  requestDrained(): void {
    this.#stream.resume();
  }

  /** Never called: HTTP/2 has no upgrades, so none was asked for. */
  upgraded(): void {
    this.breakOff();
  }

  #received(chunk: Buffer): void {
    this.#left -= chunk.length;
    if (this.#left < 0) {
      this.#broken();
      return;
    }
    this.#exchange.requestBody.data(chunk, 0, chunk.length);
    if (!this.#exchange.requestFlush()) this.#stream.pause();
  }

  /** The request's trailers. HTTP/1.1 has them in chunked bodies only: with a Content-Length they are dropped. */
  #trailed(raw: readonly string[]): void {
    const kept = keptTrailers(Buffer.from(trailerText(raw), 'latin1'));
    if (kept.ok) this.#requestTrailers = kept.value;
    else this.#broken();
  }

  /**
   * The stream has ended: by the client, after a complete answer, or with its connection. In the last case a request
   * that came whole is carried out all the same.
   */
  #closed(): void {
    if (this.#whole && this.#exchange.active && this.#session?.destroyed) this.#exchange.abandon();
    else this.#exchange.cancel();
  }

  #ended(): void {
    this.#whole = true;
    if (this.#left > 0 && this.#left !== Number.POSITIVE_INFINITY) {
      this.#broken();
      return;
    }
    this.#exchange.requestEnd(this.#requestTrailers);
    this.#exchange.requestFlush();
  }

  /** The stream is at its end: Node.js throws if more is sent. */
  get #isOver(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  /** If HTTP/2 forbids one of the trailers, none is sent: the answer is complete without them. */
  #sendTrailers(): void {
    if (this.#isOver) return;
    try {
      this.#stream.sendTrailers(trailerHeaders(this.#trailers));
    } catch {
      this.#stream.sendTrailers({});
    }
  }

  /** The body has another length than the head says, or its trailers are refused. */
  #broken(): void {
    this.#exchange.cancel(MALFORMED.status);
    this.#stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
  }

  #end(bytes: Buffer): void {
    if (this.#stream.destroyed) return;
    this.#stream.end(bytes, () => {
      // This tells the client that the rest of its request is not needed (RFC 9113, 8.1).
      if (!this.#whole) this.#stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }
}
