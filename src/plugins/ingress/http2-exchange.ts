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
  NO_BODY,
  type Refusal,
  RequestHead,
  type ResponseHead,
  type Site,
  startOf,
  writeRequest,
} from '../../http1/index.js';
import { answerHeaders, requestText, trailerHeaders } from './http2-head.js';

const NOTHING: Buffer = Buffer.alloc(0);
const MALFORMED: Refusal = { status: 400, message: 'The request is not well-formed.' };

const request = new RequestHead();

export class Http2Exchange implements Client {
  readonly answerSink = null;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #exchange = new Exchange(this);
  #blocked = false;
  /** The request has been read to its end. */
  #whole: boolean;
  /** Of its body, what is still to come; Infinity: that was not said. */
  #left = Number.POSITIVE_INFINITY;
  #trailers: Buffer = NOTHING;

  /** `whole`: there is no body. */
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, whole: boolean) {
    this.#stream = stream;
    this.#headers = headers;
    this.#whole = whole;
    stream.on('error', () => undefined); // 'close' follows
    stream.once('close', () => this.#exchange.cancel());
    stream.on('drain', () => {
      this.#blocked = false;
      this.#exchange.answerDrained();
    });
  }

  begin<D>(rawHeaders: readonly string[], site: Site<D>, description: D): void {
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
    const route = site.route(request, description);
    if ('status' in route) {
      this.refuse(route);
      return;
    }
    const { writer } = this.#exchange;
    writer.reset();
    writeRequest(writer, request, route);
    if (!request.framing.chunked) this.#left = Math.max(0, request.framing.length);
    this.#exchange.begin(route, startOf(request, route, this.#whole));
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

  refuse(refusal: Refusal): void {
    if (this.#isOver || this.#stream.headersSent) return;
    const page = errorPage(refusal, this.#headers.accept ?? '');
    this.#stream.respond({
      ':status': page.status,
      'content-type': page.type,
      'content-length': page.body.length,
      ...(page.retryAfter === undefined ? {} : { 'retry-after': String(page.retryAfter) }),
    });
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

  #ended(): void {
    this.#whole = true;
    if (this.#left > 0 && this.#left !== Number.POSITIVE_INFINITY) {
      this.#broken();
      return;
    }
    this.#exchange.requestEnd(NOTHING);
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
