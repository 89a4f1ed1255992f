/**
 * The client's side of the authentication, towards a bus: `EXTERNAL` with one uid, once. Pure: bytes in, events out.
 *
 * A method asks each question and returns the bytes to send; one event is its answer. A bus sends nothing but answers:
 * anything else fails the authentication.
 */
import { LineReader, MAX_LINE } from './sasl-line.js';

export type ClientEvent =
  /** The bus accepts the identity. `guid`: of the bus, 32 hexadecimal digits. */
  | { readonly is: 'accepted'; readonly guid: string }
  /** The bus rejects the identity, or EXTERNAL. */
  | { readonly is: 'rejected' }
  /** `fds`: the bus takes descriptors. */
  | { readonly is: 'negotiated'; readonly fds: boolean }
  | { readonly is: 'failed'; readonly reason: string };

const OK = /^OK ([0-9a-fA-F]{32}) *$/;
const REJECTED = /^REJECTED( |$)/;
const ERROR = /^ERROR( |$)/;

export class SaslClient {
  readonly #lines = new LineReader();
  #asked: 'identity' | 'fds' | null = null;

  /** `uid`: as it is in the bus's user namespace. Its decimal digits are sent in hexadecimal. */
  authenticate(uid: number): Buffer {
    this.#asked = 'identity';
    const identity = Buffer.from(String(uid)).toString('hex');
    return Buffer.from(`\0AUTH EXTERNAL ${identity}\r\n`);
  }

  negotiate(): Buffer {
    this.#asked = 'fds';
    return Buffer.from('NEGOTIATE_UNIX_FD\r\n');
  }

  /** From here on the bus sends messages. */
  begin(): Buffer {
    return Buffer.from('BEGIN\r\n');
  }

  /** Null: the answer has not ended yet. */
  feed(bytes: Buffer): ClientEvent | null {
    const asked = this.#asked;
    if (!asked) return failed('The bus spoke without being asked.');
    this.#lines.feed(bytes);
    const line = this.#lines.next();
    if (line === undefined && !this.#lines.isTooLong) return null;
    this.#asked = null;
    if (line === undefined || line.length > MAX_LINE) {
      return failed('The bus sent a line without an end.');
    }
    if (this.#lines.next() !== undefined || this.#lines.isInside) {
      return failed('The bus sent more than one answer.');
    }
    return asked === 'identity' ? identified(line) : negotiated(line);
  }
}

function identified(line: string): ClientEvent {
  const guid = OK.exec(line)?.[1];
  if (guid !== undefined) return { is: 'accepted', guid };
  if (REJECTED.test(line)) return { is: 'rejected' };
  return failed('The bus answered an identity with neither OK nor REJECTED.');
}

function negotiated(line: string): ClientEvent {
  const fds = line === 'AGREE_UNIX_FD';
  if (fds || ERROR.test(line)) return { is: 'negotiated', fds };
  return failed('The bus answered NEGOTIATE_UNIX_FD with neither AGREE_UNIX_FD nor ERROR.');
}

function failed(reason: string): ClientEvent {
  return { is: 'failed', reason };
}
