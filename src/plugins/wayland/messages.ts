/**
 * The Wayland wire format ("Wire Format" of the protocol's documentation), as far as client.ts needs it: 32-bit words
 * in the machine's byte order, and strings; no descriptors in events. Pure.
 */
import { LITTLE, wordAt } from '../../kernel/word.js';

const HEAD = 8;

export interface WaylandMessage {
  readonly object: number;
  readonly opcode: number;
  readonly body: Buffer;
}

/** A request. `args`: words and strings. */
export function request(
  object: number,
  opcode: number,
  ...args: readonly (number | string)[]
): Buffer {
  const body = Buffer.concat(args.map((arg) => (typeof arg === 'string' ? text(arg) : word(arg))));
  return Buffer.concat([word(object), word((((HEAD + body.length) << 16) | opcode) >>> 0), body]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  if (LITTLE) bytes.writeUInt32LE(value);
  else bytes.writeUInt32BE(value);
  return bytes;
}

/** The length with the NUL, the text and the NUL, padded to whole words. */
function text(value: string): Buffer {
  const bytes = Buffer.from(`${value}\0`, 'utf8');
  const padding = Buffer.alloc((4 - (bytes.length % 4)) % 4);
  return Buffer.concat([word(bytes.length), bytes, padding]);
}

/** Makes messages of a stream. It holds less than one message, which has at most 64 KiB. */
export class WaylandReader {
  #held = Buffer.alloc(0);

  /** The messages that are complete; null: the bytes are no Wayland. */
  push(chunk: Buffer): WaylandMessage[] | null {
    let rest = Buffer.concat([this.#held, chunk]);
    const messages: WaylandMessage[] = [];
    while (rest.length >= HEAD) {
      const second = wordAt(rest, 4);
      const size = second >>> 16;
      if (size < HEAD || size % 4 !== 0) return null;
      if (rest.length < size) break;
      const body = rest.subarray(HEAD, size);
      messages.push({ object: wordAt(rest, 0), opcode: second & 0xffff, body });
      rest = rest.subarray(size);
    }
    this.#held = Buffer.from(rest);
    return messages;
  }
}

/** Reads arguments in their order. `fault`: one was missing or broken. */
export class ArgumentReader {
  fault = false;
  readonly #body: Buffer;
  #position = 0;

  constructor(body: Buffer) {
    this.#body = body;
  }

  word(): number {
    if (this.#position + 4 > this.#body.length) {
      this.fault = true;
      return 0;
    }
    this.#position += 4;
    return wordAt(this.#body, this.#position - 4);
  }

  text(): string {
    const length = this.word();
    const start = this.#position;
    const end = start + length;
    if (length === 0 || end > this.#body.length || this.#body[end - 1] !== 0) {
      this.fault = true;
      return '';
    }
    this.#position = start + Math.ceil(length / 4) * 4;
    return this.#body.toString('utf8', start, end - 1);
  }
}
