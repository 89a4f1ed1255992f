/** Answers as one client gets them: in its version of HTTP, on a connection that is kept or not. */
import type { ByteStream } from '../relay/byte-stream.js';
import { type Body, CHUNKED, COUNTED, NO_BODY, TO_THE_END } from './body-reader.js';
import { errorPage, pageMessage } from './error-page.js';
import { writeAnswer, writeInformation, writeSwitch } from './forwarding.js';
import { Outlet } from './outlet.js';
import type { Refusal } from './refusal.js';
import type { ResponseHead } from './response-head.js';

export class AnswerWriter {
  /** The client's, of HTTP/1. */
  minor = 1;
  /** Another request may follow on the connection. */
  keepAlive = true;
  readonly outlet: Outlet;

  constructor(stream: ByteStream) {
    this.outlet = new Outlet(stream);
  }

  informed(answer: ResponseHead): void {
    if (this.minor === 1) writeInformation(this.outlet.stage(), answer);
  }

  answered(answer: ResponseHead, body: Body): void {
    const known = body === NO_BODY || body === COUNTED;
    // HTTP/1.0 knows no chunks: where the length is not known, the body ends with the connection.
    const passed: Body = known ? body : this.minor === 1 ? CHUNKED : TO_THE_END;
    if (passed === TO_THE_END) this.keepAlive = false;
    const { minor, keepAlive } = this;
    writeAnswer(this.outlet.stage(), answer, { body: passed, minor, keepAlive });
    this.outlet.chunked = passed === CHUNKED;
  }

  /** `from` to `to` came behind the head, in the protocol that is spoken from here on. */
  switched(answer: ResponseHead, from: number, to: number): void {
    writeSwitch(this.outlet.stage(), answer);
    this.outlet.stage().copy(answer.buffer, from, to);
    this.outlet.flush();
  }

  finish(trailers: Buffer): void {
    this.outlet.finish(trailers);
    this.outlet.flush();
  }

  /** Our own answer, in place of a provider's. */
  page(refusal: Refusal, accept: string, withBody: boolean): void {
    const page = errorPage(refusal, accept);
    this.outlet.stage().bytes(pageMessage(page, this.keepAlive, withBody));
    this.outlet.flush();
  }
}
