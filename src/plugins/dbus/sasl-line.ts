/**
 * Lines of the authentication protocol (D-Bus specification, "Authentication Protocol"). A line ends with CR LF; behind
 * the line `BEGIN` messages follow. Pure.
 *
 * Bytes may come in pieces of any size, and the length of a line is bounded. `room` says how many bytes may be read at
 * most without reading one behind a `BEGIN`: those stay in the kernel, and their descriptors with them.
 */

/** Bytes of the longest line, without its end. */
export const MAX_LINE = 16 * 1024;

const BEGIN = 'BEGIN\r\n';
const END = '\r\n';

export class LineReader {
  readonly #lines: string[] = [];
  /** The line that has not ended. Nothing reads it before it has, so adding small pieces is cheap (V8 uses ropes). */
  #partial = '';
  /** A CR that came last: what follows it is not known. */
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

  /** The next line, without its end, in Latin-1. Undefined: it has not ended yet. */
  next(): string | undefined {
    return this.#lines.shift();
  }

  /** The line that has not ended yet is longer than MAX_LINE. (`next` may return such a line, too.) */
  get isTooLong(): boolean {
    return this.#partial.length > MAX_LINE;
  }

  /** A line has begun that has not ended yet. */
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
