/** Puts bytes together in one buffer, which grows as needed and is used again. */

const GROWTH = 1024;
/** Shorter runs are copied byte by byte, which is cheaper than a native call. */
const SHORT = 48;

export class ByteWriter {
  buffer: Buffer;
  length = 0;

  constructor(size = GROWTH) {
    this.buffer = Buffer.allocUnsafeSlow(size);
  }

  reset(): void {
    this.length = 0;
  }

  copy(source: Buffer, from: number, to: number): void {
    const count = to - from;
    this.#reserve(count);
    const { buffer, length } = this;
    if (count < SHORT)
      for (let i = 0; i < count; i++) buffer[length + i] = source[from + i] as number;
    else source.copy(buffer, length, from, to);
    this.length = length + count;
  }

  bytes(source: Buffer): void {
    this.copy(source, 0, source.length);
  }

  /** `text`: Latin-1. */
  text(text: string): void {
    this.#reserve(text.length);
    const { buffer, length } = this;
    for (let i = 0; i < text.length; i++) buffer[length + i] = text.charCodeAt(i);
    this.length = length + text.length;
  }

  #reserve(count: number): void {
    const wanted = this.length + count;
    if (wanted <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(wanted + GROWTH, 2 * this.buffer.length));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }
}
