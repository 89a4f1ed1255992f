/**
 * The header section: lines of `name: value`, found and identified in one pass over the bytes. Nothing is copied:
 * a field is four positions in the buffer and the number that names.ts gives its name.
 *
 * Refused are bare CR and LF, folded lines, a space before the colon, and control bytes (RFC 9112, 2.2 and 5).
 */
import { COLON, CR, HT, isBlank, LF, NAME, SP, VALUE } from './grammar.js';
import { identify, step } from './names.js';
import {
  BAD_NAME,
  BARE_CR,
  BARE_LF,
  CONTROL_BYTE,
  FOLDED,
  MANY_FIELDS,
  NO_COLON,
  type Refusal,
  SPACE_IN_NAME,
} from './refusal.js';

/** What a scan returns where the bytes end before the section does. */
export const MORE = 0;
/** What a scan returns for a section that is refused; `fault` says why. */
export const FAULT = -1;

const WIDTH = 4;
/** The largest limit that can be configured. */
export const MAX_FIELDS = 1000;

export class Fields {
  count = 0;
  /** Why the last scan returned FAULT. */
  fault: Refusal = BAD_NAME;
  /** What names.ts says of each field's name. */
  readonly ids = new Uint8Array(MAX_FIELDS);
  readonly #bounds = new Int32Array(WIDTH * MAX_FIELDS);

  nameFrom(index: number): number {
    return this.#bounds[WIDTH * index] as number;
  }

  nameTo(index: number): number {
    return this.#bounds[WIDTH * index + 1] as number;
  }

  valueFrom(index: number): number {
    return this.#bounds[WIDTH * index + 2] as number;
  }

  /** Behind the value, without the blanks that follow it. */
  valueTo(index: number): number {
    return this.#bounds[WIDTH * index + 3] as number;
  }

  /** Where the next line begins, or the empty one; `sectionTo` is behind that. */
  lineTo(index: number, sectionTo: number): number {
    return index + 1 < this.count ? this.nameFrom(index + 1) : sectionTo - 2;
  }

  has(id: number): boolean {
    for (let i = 0; i < this.count; i++) if (this.ids[i] === id) return true;
    return false;
  }

  /**
   * Reads the section that begins at `start`, of bytes up to `to` and at most `limit` fields. Returns the position
   * behind its empty line, or MORE or FAULT.
   */
  scan(buffer: Buffer, start: number, to: number, limit: number): number {
    const bounds = this.#bounds;
    let at = start;
    this.count = 0;
    for (;;) {
      if (at >= to) return MORE;
      const nameFrom = at;
      let byte = buffer[at] as number;
      if (byte === CR) {
        if (at + 1 >= to) return MORE;
        return buffer[at + 1] === LF ? at + 2 : this.#refuse(BARE_CR);
      }
      if (this.count >= limit) return this.#refuse(MANY_FIELDS);

      let hash = 0;
      let letter = NAME[byte] as number;
      while (letter !== 0) {
        hash = step(hash, letter);
        at++;
        if (at >= to) return MORE;
        byte = buffer[at] as number;
        letter = NAME[byte] as number;
      }
      if (byte !== COLON || at === nameFrom) return this.#refuse(nameFault(byte, at === nameFrom));
      const nameTo = at;

      do {
        at++;
        if (at >= to) return MORE;
        byte = buffer[at] as number;
      } while (byte === SP || byte === HT);
      const valueFrom = at;
      while (VALUE[byte] === 1) {
        at++;
        if (at >= to) return MORE;
        byte = buffer[at] as number;
      }
      if (byte !== CR) return this.#refuse(byte === LF ? BARE_LF : CONTROL_BYTE);
      if (at + 1 >= to) return MORE;
      if (buffer[at + 1] !== LF) return this.#refuse(BARE_CR);
      let valueTo = at;
      while (valueTo > valueFrom && isBlank(buffer[valueTo - 1] as number)) valueTo--;
      at += 2;

      const slot = WIDTH * this.count;
      bounds[slot] = nameFrom;
      bounds[slot + 1] = nameTo;
      bounds[slot + 2] = valueFrom;
      bounds[slot + 3] = valueTo;
      this.ids[this.count++] = identify(buffer, nameFrom, nameTo, hash);
    }
  }

  #refuse(fault: Refusal): number {
    this.fault = fault;
    return FAULT;
  }
}

function nameFault(byte: number, first: boolean): Refusal {
  if (isBlank(byte)) return first ? FOLDED : SPACE_IN_NAME;
  if (byte === LF) return BARE_LF;
  return byte === CR ? NO_COLON : BAD_NAME;
}
