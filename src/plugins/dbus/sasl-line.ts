/**
 * Lines of the authentication protocol (D-Bus specification, "Authentication Protocol"): ended by CR LF, and then
 * messages follow the line `BEGIN`.
 *
 * Bytes may come in any pieces, and a line is bounded. `room` says at every moment how many bytes may be read
 * without taking one that stands behind a `BEGIN`: what follows stays in the kernel, and its descriptors with it.
 */

/** Bytes of a line without its end. */
export const MAX_LINE = 16 * 1024;

const BEGIN = 'BEGIN\r\n';
const END = '\r\n';

export class LineReader {
  readonly #lines: string[] = [];
  /** Only ever added to until its line is whole: that costs nothing, however small the pieces. */
  #partial = '';
  /** A CR that came last, while it is not known what follows it. */
  #held = '';

  feed(bytes: Buffer): void {
    const pieces = (this.#held + bytes.toString('latin1')).split(END);
    let last = pieces.pop() as string;
    for (const piece of pieces) {
      this.#lines.push(this.#partial + piece);
      this.#partial = '';
    }
    this.#held = last.endsWith('\r') ? '\r' : '';
    if (this.#held) last = last.slice(0, -1);
    this.#partial += last;
  }

  /** The next line without its end, one character a byte. Undefined: it has not ended yet. */
  next(): string | undefined {
    return this.#lines.shift();
  }

  /** The line that has not ended yet is longer than a line may be; so is one from `next` that is longer. */
  get isTooLong(): boolean {
    return this.#partial.length > MAX_LINE;
  }

  /** Something came that is no whole line. */
  get isInside(): boolean {
    return this.#partial !== '' || this.#held !== '';
  }

  get room(): number {
    if (this.#partial.length < BEGIN.length) {
      const begun = this.#partial + this.#held;
      if (BEGIN.startsWith(begun)) return BEGIN.length - begun.length;
    }
    return END.length - this.#held.length + BEGIN.length;
  }
}

/** Printable ASCII, as commands are; anything else is no command. */
export function isPrintable(line: string): boolean {
  return /^[ -~]*$/.test(line);
}
