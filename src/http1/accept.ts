/**
 * What a request's Accept says of JSON and text (RFC 9110, 12.5.1), the two kinds of error page that there are.
 *
 * It is noted while the head is read: when an error page is written, the head is gone. Nothing is allocated, so a
 * request that needs no error page pays next to nothing for it.
 */
import { COMMA, isBlank, isText } from './grammar.js';

const SEMICOLON = 59;
const EQUALS = 61;
const DOT = 46;
const LETTER_Q = 113;
const UPPER_Q = 81;
const ZERO = 48;
const NINE = 57;

/** A qvalue, in thousandths: it has at most three decimals. */
const ONE = 1000;

export class Accept {
  /** The largest qvalue of a range of that kind, in thousandths; 0: there is none. */
  #json = 0;
  #text = 0;

  /** For the next head. */
  reset(): void {
    this.#json = this.#text = 0;
  }

  /** Text, unless JSON is wanted more. */
  get prefersJson(): boolean {
    return this.#json > this.#text;
  }

  /** Notes one field value, from `from` to `to`; a head may have several. */
  add(buffer: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to) {
      let end = at;
      while (end < to && buffer[end] !== COMMA) end++;
      this.#addRange(buffer, at, end);
      at = end + 1;
    }
  }

  /** `type/subtype [;parameter]*` */
  #addRange(buffer: Buffer, from: number, to: number): void {
    let end = from;
    while (end < to && buffer[end] !== SEMICOLON) end++;
    let first = from;
    let last = end;
    while (first < last && isBlank(buffer[first] as number)) first++;
    while (last > first && isBlank(buffer[last - 1] as number)) last--;
    if (isJson(buffer, first, last)) {
      this.#json = Math.max(this.#json, qvalue(buffer, end, to));
    } else if (last - first > 5 && isText(buffer, first, first + 5, 'text/')) {
      this.#text = Math.max(this.#text, qvalue(buffer, end, to));
    }
  }
}

/** The same for an Accept that is a string, empty where the request has none. */
export function prefersJson(value: string): boolean {
  const accept = new Accept();
  const bytes = Buffer.from(value, 'latin1');
  accept.add(bytes, 0, bytes.length);
  return accept.prefersJson;
}

function isJson(buffer: Buffer, from: number, to: number): boolean {
  return (
    isText(buffer, from, to, 'application/json') ||
    (to - from > 5 && isText(buffer, to - 5, to, '+json'))
  );
}

/** Of the parameters in `;name=value;…`, q in thousandths; 1000 where it is not given, 0 where it is no number. */
function qvalue(buffer: Buffer, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    if (buffer[at] !== SEMICOLON) continue;
    let name = at + 1;
    while (name < to && isBlank(buffer[name] as number)) name++;
    const isQ = buffer[name] === LETTER_Q || buffer[name] === UPPER_Q;
    if (isQ && name + 1 < to && buffer[name + 1] === EQUALS)
      return thousandths(buffer, name + 2, to);
  }
  return ONE;
}

/** `0.5` is 500, and so is `.5`. More than 1 counts as 1; decimals after the third are ignored. */
function thousandths(buffer: Buffer, from: number, to: number): number {
  let value = 0;
  let unit = ONE;
  for (let at = from; at < to; at++) {
    const byte = buffer[at] as number;
    if (byte === DOT && at <= from + 1) {
      unit = ONE / 10;
      continue;
    }
    if (byte < ZERO || byte > NINE) break;
    value += (byte - ZERO) * unit;
    unit = Math.floor(unit / 10);
  }
  return Math.min(ONE, value);
}
