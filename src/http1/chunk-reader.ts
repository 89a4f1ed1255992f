/**
 * Reads the chunked coding (RFC 9112, 7.1): which bytes are data, where the body ends, which trailers follow it.
 *
 * A size is 1 to 15 hexadecimal digits, lines end with CRLF, and nothing but extensions may stand on the line of a
 * size. Extensions are bounded and dropped. Of the trailers those pass that mean nothing to a proxy.
 *
 *     SIZE ──CR──▸ SIZE_END ──LF──▸ DATA ▸ DATA_CR ▸ DATA_LF ▸ SIZE; TRAILERS where the size is 0
 *      │ blank or ;
 *      ▾                                    chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted ) ] )
 *     BETWEEN ─;▸ NAME ▸ IN_NAME ─=▸ VALUE ▸ IN_TOKEN, or IN_QUOTES ▸ BEHIND; of these IN_NAME, IN_TOKEN and BEHIND
 *     may end with CR
 */
import { ok, type Result } from '../kernel/result.js';
import { FAULT, Fields, MORE } from './fields.js';
import { CR, HEX, isBlank, LF, NAME, VALUE } from './grammar.js';
import { OTHER } from './names.js';
import { PartialHead } from './partial-head.js';
import { BAD_CHUNK, type Refusal, refused } from './refusal.js';

const SEMICOLON = 59;
/** More may be no exact number in JavaScript. */
const MAX_DIGITS = 15;
/** Bytes of extensions in one body: a peer can't keep us busy with them. */
const MAX_EXTENSIONS = 16 * 1024;
const MAX_TRAILERS = 8 * 1024;
const MAX_TRAILER_FIELDS = 100;
export const NO_TRAILERS: Buffer = Buffer.alloc(0);

const EQUALS = 61;
const QUOTE = 34;
const BACKSLASH = 92;

const SIZE = 0;
const SIZE_END = 1;
const DATA = 2;
const DATA_CR = 3;
const DATA_LF = 4;
const TRAILERS = 5;
/** In extensions. */
const BETWEEN = 6;
const EXT_NAME = 7;
const IN_NAME = 8;
const BEHIND_NAME = 9;
const EXT_VALUE = 10;
const IN_TOKEN = 11;
const IN_QUOTES = 12;
const ESCAPED = 13;
const BEHIND = 14;

/** Shared for speed: trailers that were scanned are dealt with before others are. */
const fields = new Fields();

export interface BodySink {
  /** Bytes `from` to `to`. The buffer is the caller's again when this returns. */
  data(buffer: Buffer, from: number, to: number): void;
}

export class ChunkReader {
  done = false;
  fault: Refusal | null = null;
  /** The trailers that are passed on: header lines, each with its CRLF. There once the body is done. */
  trailers: Buffer = NO_TRAILERS;
  #state = SIZE;
  #size = 0;
  #digits = 0;
  #extensions = 0;
  readonly #partial = new PartialHead();

  /** For the next body. */
  begin(): void {
    this.done = false;
    this.fault = null;
    this.trailers = NO_TRAILERS;
    this.#state = SIZE;
    this.#size = this.#digits = this.#extensions = 0;
  }

  /**
   * Passes data to `sink`. Returns where it stopped: at `to`, behind the body, or, with `fault` set, at what is wrong.
   */
  read(buffer: Buffer, from: number, to: number, sink: BodySink): number {
    let at = from;
    while (at < to && !this.done && !this.fault) {
      if (this.#state === DATA) at = this.#data(buffer, at, to, sink);
      else if (this.#state === TRAILERS) at = this.#readTrailers(buffer, at, to);
      else this.#byte(buffer[at++] as number);
    }
    return at;
  }

  #data(buffer: Buffer, at: number, to: number, sink: BodySink): number {
    const end = Math.min(to, at + this.#size);
    sink.data(buffer, at, end);
    this.#size -= end - at;
    if (this.#size === 0) this.#state = DATA_CR;
    return end;
  }

  #byte(byte: number): void {
    switch (this.#state) {
      case SIZE:
        this.#sizeByte(byte);
        return;
      case SIZE_END:
        this.#expect(byte, LF, this.#size === 0 ? TRAILERS : DATA);
        return;
      case DATA_CR:
        this.#expect(byte, CR, DATA_LF);
        return;
      case DATA_LF:
        this.#digits = 0;
        this.#expect(byte, LF, SIZE);
        return;
      default:
        this.#extensionByte(byte);
    }
  }

  #sizeByte(byte: number): void {
    const digit = HEX[byte] as number;
    if (digit >= 0 && this.#digits < MAX_DIGITS) {
      this.#size = this.#size * 16 + digit;
      this.#digits++;
    } else if (this.#digits > 0 && this.#size <= Number.MAX_SAFE_INTEGER && byte === CR) {
      this.#state = SIZE_END;
    } else if (this.#digits > 0 && this.#size <= Number.MAX_SAFE_INTEGER) {
      this.#state = BETWEEN;
      this.#extensionByte(byte);
    } else {
      this.fault = BAD_CHUNK;
    }
  }

  #extensionByte(byte: number): void {
    const next = byte === CR ? endOf(this.#state) : afterByte(this.#state, byte);
    if (next === FAULT || ++this.#extensions > MAX_EXTENSIONS) this.fault = BAD_CHUNK;
    else this.#state = next;
  }

  #expect(byte: number, wanted: number, next: number): void {
    if (byte === wanted) this.#state = next;
    else this.fault = BAD_CHUNK;
  }

  #readTrailers(buffer: Buffer, from: number, to: number): number {
    const partial = this.#partial;
    if (partial.length === 0 && buffer[from] === CR && from + 1 < to && buffer[from + 1] === LF) {
      this.done = true; // there are none, nearly always
      return from + 2;
    }
    const before = partial.length;
    if (!partial.add(buffer, from, to, MAX_TRAILERS)) return to;
    const bytes = partial.take();
    const end = fields.scan(bytes, 0, Math.min(bytes.length, MAX_TRAILERS), MAX_TRAILER_FIELDS);
    if (end === FAULT) this.fault = fields.fault;
    else if (end !== MORE) this.done = true;
    else if (bytes.length >= MAX_TRAILERS) this.fault = BAD_CHUNK;
    else partial.keep(bytes, 0, bytes.length, true);
    if (!this.done) return to;
    this.trailers = keptLines(bytes);
    return from + end - before;
  }
}

/** The state after a CR in an extension, or FAULT. */
function endOf(state: number): number {
  return state === IN_NAME || state === IN_TOKEN || state === BEHIND ? SIZE_END : FAULT;
}

/** The state after one more byte of an extension, or FAULT. */
function afterByte(state: number, byte: number): number {
  const blank = isBlank(byte);
  switch (state) {
    case BETWEEN:
    case BEHIND:
      if (byte === SEMICOLON) return EXT_NAME;
      return blank ? BETWEEN : FAULT;
    case EXT_NAME:
      if (blank) return EXT_NAME;
      return NAME[byte] === 0 ? FAULT : IN_NAME;
    case IN_NAME:
    case BEHIND_NAME:
      if (byte === EQUALS) return EXT_VALUE;
      if (byte === SEMICOLON) return EXT_NAME;
      if (blank) return BEHIND_NAME;
      return state === BEHIND_NAME || NAME[byte] === 0 ? FAULT : IN_NAME;
    case EXT_VALUE:
      if (blank) return EXT_VALUE;
      if (byte === QUOTE) return IN_QUOTES;
      return NAME[byte] === 0 ? FAULT : IN_TOKEN;
    case IN_TOKEN:
      if (byte === SEMICOLON) return EXT_NAME;
      if (blank) return BETWEEN;
      return NAME[byte] === 0 ? FAULT : IN_TOKEN;
    case IN_QUOTES:
      if (byte === QUOTE) return BEHIND;
      if (byte === BACKSLASH) return ESCAPED;
      return VALUE[byte] === 1 ? IN_QUOTES : FAULT;
    case ESCAPED:
      return VALUE[byte] === 1 ? IN_QUOTES : FAULT;
  }
  return FAULT;
}

/**
 * The trailers of a whole section (with its empty line) that are passed on, each with its CRLF; or why it is refused.
 */
export function keptTrailers(section: Buffer): Result<Buffer, { readonly refusal: Refusal }> {
  const end = fields.scan(section, 0, Math.min(section.length, MAX_TRAILERS), MAX_TRAILER_FIELDS);
  if (end === FAULT) return refused(fields.fault);
  return end === section.length ? ok(keptLines(section)) : refused(BAD_CHUNK);
}

function keptLines(bytes: Buffer): Buffer {
  const lines: Buffer[] = [];
  for (let i = 0; i < fields.count; i++) {
    if (fields.ids[i] !== OTHER) continue;
    lines.push(bytes.subarray(fields.nameFrom(i), fields.valueTo(i)), Buffer.from('\r\n'));
  }
  return lines.length === 0 ? NO_TRAILERS : Buffer.concat(lines);
}
