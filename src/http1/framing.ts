/**
 * What the header section says about the message and its connection: how long the body is (RFC 9112, 6), and
 * what Connection asks for (RFC 9110, 7.6.1). Fields that are not passed on for this reason are marked DROPPED.
 *
 * A message of which two readers could find different lengths is refused.
 */
import type { Fields } from './fields.js';
import { digits, forEachMember, isText } from './grammar.js';
import {
  CONNECTION,
  CONTENT_LENGTH,
  DROPPED,
  HOST,
  IDENTITY,
  MAX_FORWARDS,
  OTHER,
  TE,
  TRANSFER_ENCODING,
} from './names.js';
import {
  BAD_CODING,
  BAD_LENGTH,
  LENGTH_AND_CHUNKED,
  type Refusal,
  TWO_LENGTHS,
} from './refusal.js';

/**
 * Connection may name these and they are not DROPPED for it: without them it would be another message, or they are
 * written anew.
 */
const ESSENTIAL: readonly number[] = [
  HOST,
  CONTENT_LENGTH,
  TRANSFER_ENCODING,
  IDENTITY,
  CONNECTION,
  MAX_FORWARDS,
  TE,
];

export class Framing {
  /** Content-Length; -1: there is none. */
  length = -1;
  chunked = false;
  /** Options of Connection. */
  close = false;
  keepAlive = false;
  upgrade = false;

  /** Reads the fields of one head, and marks some of them. Null, or why the message is refused. */
  read(fields: Fields, buffer: Buffer): Refusal | null {
    this.length = -1;
    this.chunked = this.close = this.keepAlive = this.upgrade = false;
    for (let i = 0; i < fields.count; i++) {
      const id = fields.ids[i] as number;
      if (id === OTHER) continue;
      if (id === CONTENT_LENGTH) {
        const refusal = this.#contentLength(fields, buffer, i);
        if (refusal) return refusal;
      } else if (id === TRANSFER_ENCODING) {
        if (this.chunked) return BAD_CODING;
        if (!isText(buffer, fields.valueFrom(i), fields.valueTo(i), 'chunked')) return BAD_CODING;
        this.chunked = true;
      } else if (id === CONNECTION) {
        this.#connection(fields, buffer, i);
      }
    }
    return this.chunked && this.length >= 0 ? LENGTH_AND_CHUNKED : null;
  }

  /** Whether the sender, which speaks HTTP/1.`minor`, keeps the connection after this message (RFC 9112, 9.3). */
  keepsAlive(minor: number): boolean {
    return !this.close && (minor === 1 || this.keepAlive);
  }

  #contentLength(fields: Fields, buffer: Buffer, index: number): Refusal | null {
    const length = digits(buffer, fields.valueFrom(index), fields.valueTo(index));
    if (length < 0) return BAD_LENGTH;
    if (this.length < 0) this.length = length;
    else if (this.length === length) fields.ids[index] = DROPPED;
    else return TWO_LENGTHS;
    return null;
  }

  #connection(fields: Fields, buffer: Buffer, index: number): void {
    const to = fields.valueTo(index);
    forEachMember(buffer, fields.valueFrom(index), to, (at, last) => {
      if (isText(buffer, at, last, 'keep-alive')) this.keepAlive = true;
      else if (isText(buffer, at, last, 'close')) this.close = true;
      else if (isText(buffer, at, last, 'upgrade')) this.upgrade = true;
      else dropNamed(fields, buffer, buffer.toString('latin1', at, last).toLowerCase());
    });
  }
}

function dropNamed(fields: Fields, buffer: Buffer, name: string): void {
  for (let i = 0; i < fields.count; i++) {
    if (ESSENTIAL.includes(fields.ids[i] as number)) continue;
    if (isText(buffer, fields.nameFrom(i), fields.nameTo(i), name)) fields.ids[i] = DROPPED;
  }
}
