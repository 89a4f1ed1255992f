/**
 * Checks signatures, and steps over values that are not needed (D-Bus specification, "Type System", "Marshaling").
 * Pure. Its work is bounded by the specification's own limits: 255 bytes of signature, 32 arrays and 32 structs within
 * each other, 64 of both.
 */
import { wordAt } from '../../kernel/word.js';

const MAX_SIGNATURE = 255;
const MAX_DEPTH = 32;
const MAX_NESTING = 64;
export const MAX_ARRAY = 64 * 1024 * 1024;

/** Bytes of types with a fixed size, which is their alignment, too. */
const FIXED: Readonly<Record<string, number>> = {
  ...{ y: 1, n: 2, q: 2, b: 4, i: 4, u: 4, h: 4, x: 8, t: 8, d: 8 },
};
const ALIGNMENT: Readonly<Record<string, number>> = {
  ...FIXED,
  ...{ s: 4, o: 4, g: 1, v: 1, a: 4, '(': 8, '{': 8 },
};
/** In place of a position: the signature or the value is broken. */
const WRONG = -1;

/** Whether it is any number of complete types, or empty. */
export function isSignature(text: string): boolean {
  if (text.length > MAX_SIGNATURE) return false;
  let at = 0;
  while (at >= 0 && at < text.length) at = typeEnd(text, at, 0, 0);
  return at === text.length;
}

/** The position behind the complete type that begins at `at`; WRONG where none does. */
function typeEnd(text: string, at: number, arrays: number, structs: number): number {
  const code = text[at];
  if (code === undefined || arrays > MAX_DEPTH || structs > MAX_DEPTH) return WRONG;
  if (code === 'a' && text[at + 1] === '{') return entryEnd(text, at + 2, arrays + 1, structs + 1);
  if (code === 'a') return typeEnd(text, at + 1, arrays + 1, structs);
  if (code !== '(') return code !== '{' && code in ALIGNMENT ? at + 1 : WRONG;
  let inner = at + 1;
  do inner = typeEnd(text, inner, arrays, structs + 1);
  while (inner !== WRONG && text[inner] !== ')');
  return inner === WRONG ? WRONG : inner + 1;
}

/** The position behind a dictionary's entry: a basic type, any one type, and the brace. */
function entryEnd(text: string, at: number, arrays: number, structs: number): number {
  const key = text[at];
  if (key === undefined || (!(key in FIXED) && !'sog'.includes(key))) return WRONG;
  const inner = typeEnd(text, at + 1, arrays, structs);
  return inner !== WRONG && text[inner] === '}' ? inner + 1 : WRONG;
}

/**
 * Steps over values, none of which may reach beyond `end`. `bytes` begin with the message, which alignment refers to.
 */
export class Skipper {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #little: boolean;

  constructor(bytes: Buffer, end: number, little: boolean) {
    this.#bytes = bytes;
    this.#end = end;
    this.#little = little;
  }

  /** The position behind the value at `position`, or WRONG. `signature`: one complete and valid type. */
  skip(position: number, signature: string): number {
    return this.#value(position, signature, 0, 0);
  }

  /** The next multiple of `alignment`, if zeros lead to it. */
  #align(position: number, alignment: number): number {
    const aligned = (position + alignment - 1) & -alignment;
    if (aligned > this.#end) return WRONG;
    for (let at = position; at < aligned; at++) if (this.#bytes[at] !== 0) return WRONG;
    return aligned;
  }

  #value(position: number, signature: string, index: number, depth: number): number {
    const code = signature[index] as string;
    const start = this.#align(position, ALIGNMENT[code] as number);
    if (start === WRONG || depth > MAX_NESTING) return WRONG;
    if (code in FIXED) return this.#upTo(start + (FIXED[code] as number));
    if (code === 's' || code === 'o') return this.#text(start + 4, this.#length(start));
    if (code === 'g') return this.#text(start + 1, this.#bytes[start]);
    if (code === 'v') return this.#variant(start, depth);
    if (code === 'a') return this.#array(start, signature, index + 1);
    return this.#fields(start, signature, index + 1, depth + 1);
  }

  /** All elements in one step, by their length in bytes. */
  #array(start: number, signature: string, index: number): number {
    const length = this.#length(start);
    if (length === undefined || length > MAX_ARRAY) return WRONG;
    const first = this.#align(start + 4, ALIGNMENT[signature[index] as string] as number);
    return first === WRONG ? WRONG : this.#upTo(first + length);
  }

  #fields(start: number, signature: string, index: number, depth: number): number {
    let at = start;
    for (let i = index; signature[i] !== ')'; ) {
      at = this.#value(at, signature, i, depth);
      if (at === WRONG) return WRONG;
      i = typeEnd(signature, i, 0, 0);
    }
    return at;
  }

  #variant(start: number, depth: number): number {
    const length = this.#bytes[start];
    const behind = this.#text(start + 1, length);
    if (behind === WRONG || length === undefined) return WRONG;
    const signature = this.#bytes.toString('latin1', start + 1, start + 1 + length);
    if (typeEnd(signature, 0, 0, 0) !== signature.length) return WRONG;
    return this.#value(behind, signature, 0, depth + 1);
  }

  #length(at: number): number | undefined {
    if (at + 4 > this.#end) return undefined;
    return wordAt(this.#bytes, at, this.#little);
  }

  /** The position behind a text of that length and its NUL. */
  #text(start: number, length: number | undefined): number {
    if (length === undefined || start + length + 1 > this.#end) return WRONG;
    return this.#bytes[start + length] === 0 ? start + length + 1 : WRONG;
  }

  #upTo(position: number): number {
    return position <= this.#end ? position : WRONG;
  }
}
