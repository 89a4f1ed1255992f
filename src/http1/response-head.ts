/**
 * The head of a response: status line and header section, read in place, and what they mean to a proxy.
 *
 * One object reads one head after the other, and its positions point into the buffer that was read: what is needed
 * after the next read has to be copied.
 */
import { type Body, CHUNKED, COUNTED, NO_BODY, TO_THE_END } from './body-reader.js';
import { FAULT, Fields, MORE } from './fields.js';
import { Framing } from './framing.js';
import { CR, digits, LF, SP, VALUE } from './grammar.js';
import type { Limits } from './limits.js';
import { KEEP_ALIVE } from './names.js';
import { BAD_STATUS_LINE, CODING_IN_1_0, LARGE_HEAD, type Refusal } from './refusal.js';

const VERSION = 'HTTP/1.';
/** Where the status is in `HTTP/1.1 200`. */
const STATUS_AT = 9;
const STATUS_TO = 12;

export class ResponseHead {
  readonly fields = new Fields();
  readonly framing = new Framing();
  buffer: Buffer = Buffer.alloc(0);
  /** Behind the empty line. */
  to = 0;
  /** Where the header section begins. */
  lineTo = 0;
  /** Where the status begins. */
  statusFrom = 0;
  status = 0;
  /** 0 or 1, of HTTP/1.0 or HTTP/1.1. */
  minor = 0;

  /**
   * Reads a head from `from`, of the bytes up to `end`. Null: it is whole, and ends at `to`. MORE: its end is not there
   * yet. Else why it is refused.
   */
  read(buffer: Buffer, from: number, end: number, limits: Limits): Refusal | null | typeof MORE {
    this.buffer = buffer;
    const bound = Math.min(end, from + limits.head);
    const line = this.#readLine(buffer, from, bound);
    if (line === MORE) return end - from >= limits.head ? LARGE_HEAD : MORE;
    if (line !== null) return line;
    const to = this.fields.scan(buffer, this.lineTo, bound, limits.fields);
    if (to === FAULT) return this.fields.fault;
    if (to === MORE) return end - from >= limits.head ? LARGE_HEAD : MORE;
    this.to = to;
    const refusal = this.framing.read(this.fields, buffer);
    if (refusal) return refusal;
    return this.framing.chunked && this.minor === 0 ? CODING_IN_1_0 : null;
  }

  /** How the body ends, in an answer to a request of that method (RFC 9112, 6.3). */
  body(method: string): Body {
    const { status, framing } = this;
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return NO_BODY;
    if (framing.chunked) return CHUNKED;
    if (framing.length >= 0) return framing.length === 0 ? NO_BODY : COUNTED;
    return TO_THE_END;
  }

  /** Whether the provider lets the connection be used for another request. */
  get keepsAlive(): boolean {
    return this.framing.keepsAlive(this.minor);
  }

  /** For how many seconds the provider keeps an idle connection: `Keep-Alive: timeout=5`. -1: it does not say. */
  get keepAliveSeconds(): number {
    const { fields, buffer } = this;
    for (let i = 0; i < fields.count; i++) {
      if (fields.ids[i] !== KEEP_ALIVE) continue;
      const text = buffer.toString('latin1', fields.valueFrom(i), fields.valueTo(i));
      const seconds = /(?:^|[\s,])timeout=(\d{1,6})/i.exec(text)?.[1];
      if (seconds !== undefined) return Number(seconds);
    }
    return -1;
  }

  /** Content-Length is not allowed in it (RFC 9110, 8.6). */
  get forbidsLength(): boolean {
    return this.status < 200 || this.status === 204;
  }

  #readLine(buffer: Buffer, from: number, end: number): Refusal | null | typeof MORE {
    const known = Math.min(end - from, VERSION.length);
    for (let i = 0; i < known; i++) {
      if (buffer[from + i] !== VERSION.charCodeAt(i)) return BAD_STATUS_LINE;
    }
    if (end - from < STATUS_TO + 2) return MORE;
    this.minor = (buffer[from + VERSION.length] as number) - 48;
    this.statusFrom = from + STATUS_AT;
    this.status = digits(buffer, from + STATUS_AT, from + STATUS_TO);
    if (this.minor < 0 || this.minor > 1 || buffer[from + STATUS_AT - 1] !== SP) {
      return BAD_STATUS_LINE;
    }
    if (this.status < 100) return BAD_STATUS_LINE;
    let at = from + STATUS_TO;
    // RFC 9112, 4 requires a space even where no text follows; some servers leave it out.
    if (buffer[at] !== SP && buffer[at] !== CR) return BAD_STATUS_LINE;
    while (at < end && VALUE[buffer[at] as number] === 1) at++;
    if (at + 1 >= end) return MORE;
    if (buffer[at] !== CR || buffer[at + 1] !== LF) return BAD_STATUS_LINE;
    this.lineTo = at + 2;
    return null;
  }
}
