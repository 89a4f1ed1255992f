/**
 * Reads and writes the bodies of the bus's own methods, which consist of strings, numbers, truth values and arrays of
 * strings (D-Bus specification, "Message Bus Messages"). Other bodies are never read.
 */
import { wordAt } from '../../kernel/word.js';
import { MAX_ARRAY } from './signature.js';

export type BodyValue = string | number | boolean | readonly string[];

/** Reads the values of a body in order. Each method returns undefined where the value is broken or missing. */
export class MessageBody {
  readonly #bytes: Buffer;
  readonly #little: boolean;
  #at = 0;

  /** `bytes`: the body alone. `little`: its byte order. */
  constructor(bytes: Buffer, little: boolean) {
    this.#bytes = bytes;
    this.#little = little;
  }

  string(): string | undefined {
    const length = this.uint32();
    if (length === undefined) return undefined;
    const start = this.#at;
    if (start + length >= this.#bytes.length || this.#bytes[start + length] !== 0) return undefined;
    this.#at = start + length + 1;
    return this.#bytes.toString('utf8', start, start + length);
  }

  uint32(): number | undefined {
    this.#at = (this.#at + 3) & -4;
    if (this.#at + 4 > this.#bytes.length) return undefined;
    const at = this.#at;
    this.#at += 4;
    return wordAt(this.#bytes, at, this.#little);
  }

  strings(): string[] | undefined {
    const length = this.uint32();
    if (length === undefined || length > MAX_ARRAY) return undefined;
    const end = this.#at + length;
    const all: string[] = [];
    while (this.#at < end) {
      const one = this.string();
      if (one === undefined) return undefined;
      all.push(one);
    }
    return this.#at === end ? all : undefined;
  }
}

/** A body in little-endian, with its signature. */
export function writeBody(values: readonly BodyValue[]): { signature: string; bytes: Buffer } {
  const parts: Buffer[] = [];
  let length = 0;
  const append = (bytes: Buffer) => {
    parts.push(bytes);
    length += bytes.length;
  };
  const align = () => append(Buffer.alloc(-length & 3));
  const number = (value: number) => {
    align();
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    append(bytes);
    return bytes;
  };
  const string = (text: string) => {
    number(Buffer.byteLength(text));
    append(Buffer.from(`${text}\0`));
  };
  let signature = '';
  for (const value of values) {
    if (typeof value === 'string') {
      signature += 's';
      string(value);
    } else if (typeof value === 'number') {
      signature += 'u';
      number(value);
    } else if (typeof value === 'boolean') {
      signature += 'b';
      number(value ? 1 : 0);
    } else {
      signature += 'as';
      const size = number(0);
      const start = length;
      for (const one of value) string(one);
      size.writeUInt32LE(length - start);
    }
  }
  return { signature, bytes: Buffer.concat(parts) };
}
