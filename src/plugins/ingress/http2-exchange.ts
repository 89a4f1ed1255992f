/**
 * One request of an HTTP/2 client, put as HTTP/1.1 and sent the same way as any other (RFC 9113, 8). It is written
 * out as a head and read by the one codec: what is refused of an HTTP/1.1 client is refused here.
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
/** As Via has it. */
const VERSION = '2.0';
const MALFORMED: Refusal = { status: 400, message: 'The request is not well-formed.' };

const request = new RequestHead();

/** A field that is repeated takes a byte on the wire: it is not written out before it is known to be allowed. */
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
  #blocked = false;
  /** The request has been read to its end. */
  #whole: boolean;
  /** Of its body, what is still to come; Infinity: that was not said. */
  #left = Number.POSITIVE_INFINITY;
  #trailers: Buffer = NOTHING;
  /** Behind the request's body. */
  #requestTrailers: Buffer = NOTHING;

  /** `whole`: there is no body. */
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, whole: boolean) {
    this.#stream = stream;
    this.#session = stream.session; // it forgets it in its end
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

  /** Somebody is waited for: the provider, or a client that takes its time but takes. */
  get active(): boolean {
    return this.#exchange.active;
  }

  /** `rawHeaders`: names and values by turns, as the session had them. What is wrong with them is answered. */
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
    // Nothing but a body may make it wait for a body.
    if (this.#whole && request.hasBody) {
      this.refuse(MALFORMED);
      return;
    }
    const route = routeOf(site, request, description);
    if ('status' in route) {
      this.refuse(route);
      return;
    }
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
      // a field that HTTP/2 forbids there; the client can do without
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
      this.breakOff(); // a field that HTTP/2 forbids, or that may be there once and was there twice
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

  /** It can't have been asked for. */
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

  /** They can go on behind chunks alone: where the length was said, HTTP/1.1 has no place for them. */
  #trailed(raw: readonly string[]): void {
    const kept = keptTrailers(Buffer.from(trailerText(raw), 'latin1'));
    if ('status' in kept) this.#broken();
    else this.#requestTrailers = kept;
  }

  /** By the client, or as both have said all; or its connection is gone: then what it asked is asked all the same. */
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

  /** Node.js throws at whoever says more. */
  get #isOver(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  /** What HTTP/2 forbids there is left out, and the rest with it: the answer is complete without. */
  #sendTrailers(): void {
    if (this.#isOver) return;
    try {
      this.#stream.sendTrailers(trailerHeaders(this.#trailers));
    } catch {
      this.#stream.sendTrailers({});
    }
  }

  /** Its body has not the length that was said. */
  #broken(): void {
    this.#exchange.cancel(MALFORMED.status);
    this.#stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
  }

  #end(bytes: Buffer): void {
    if (this.#stream.destroyed) return;
    this.#stream.end(bytes, () => {
      // The client may stop sending what nobody reads (RFC 9113, 8.1).
      if (!this.#whole) this.#stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }
}
