/** Writes answers as one client gets them: in its version of HTTP, on a connection that is kept or not. */
import type { ByteStream } from '../relay/byte-stream.js';
import { type Body, CHUNKED, COUNTED, NO_BODY, TO_THE_END } from './body-reader.js';
import { errorPage, pageMessage } from './error-page.js';
import { writeAnswer, writeInformation, writeSwitch } from './forwarding.js';
import type { Refusal } from './refusal.js';
import type { ResponseHead } from './response-head.js';
import { StreamWriter } from './stream-writer.js';

export class AnswerWriter {
  /** The client speaks HTTP/1.`minor`. */
  minor = 1;
  /** Another request may follow on the connection. */
  keepAlive = true;
  /** By the Accept of the request that is answered: the client prefers an error page in JSON to one in text. */
  prefersJson = false;
  readonly output: StreamWriter;

  constructor(stream: ByteStream) {
    this.output = new StreamWriter(stream);
  }

  /** An interim response (1xx), which HTTP/1.0 does not know. */
  informed(answer: ResponseHead): void {
    if (this.minor === 1) writeInformation(this.output.stage(), answer);
  }

  /** The head of the final answer. `body`: how it ends as it comes from the provider. */
  answered(answer: ResponseHead, body: Body): void {
    const known = body === NO_BODY || body === COUNTED;
    // HTTP/1.0 knows no chunks: where the length is not known, the body ends with the connection.
    const passed: Body = known ? body : this.minor === 1 ? CHUNKED : TO_THE_END;
    if (passed === TO_THE_END) this.keepAlive = false;
    const { minor, keepAlive } = this;
    writeAnswer(this.output.stage(), answer, { body: passed, minor, keepAlive });
    this.output.chunked = passed === CHUNKED;
  }

  /** 101. The bytes from `from` to `to` came behind the head, in the protocol that is spoken from here on. */
  switched(answer: ResponseHead, from: number, to: number): void {
    writeSwitch(this.output.stage(), answer);
    this.output.stage().copy(answer.buffer, from, to);
    this.output.flush();
  }

  /** The end of the answer. `trailers`: header lines, each with its CRLF. */
  finish(trailers: Buffer): void {
    this.output.finish(trailers);
    this.output.flush();
  }

  /** An error page in place of a provider's answer. `withBody`: false where the request was HEAD. */
  page(refusal: Refusal, withBody: boolean): void {
    const page = errorPage(refusal, this.prefersJson);
    this.output.stage().bytes(pageMessage(page, this.keepAlive, withBody));
    this.output.flush();
  }
}
