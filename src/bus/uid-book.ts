/**
 * The uid of each role on the hosted bus: given once, and that role's for good, whether or not anybody has the role
 * now. No uid is ever given a second time: what was seen anywhere, in a damaged file too, counts as given.
 *
 * Pure. The file has one role a line, so that of a file that is no JSON any more every whole line still counts:
 *
 *   { "#spec": "pv-xconnect-role-uids@1",
 *     "next": 200002,
 *     "roles": {
 *       "monitor": 200000,
 *       "operator": 200001
 *   } }
 */
import { isObject } from '../manifest/json.js';
import { show } from '../manifest/problem.js';
import { isName } from '../manifest/text.js';

/** Both ends belong to it. */
export interface UidRange {
  readonly first: number;
  readonly last: number;
}

const SPEC = 'pv-xconnect-role-uids@1';
/** Whole lines only: of one that was cut off, the number may be as well. */
const ENTRY_LINE = /^ {4}("(?:[^"\\]|\\.)*"): (\d{1,10}),?\n/gm;
const NEXT_LINE = /^ {2}"next": (\d{1,10}),\n/m;
/** Faults that are said one by one. */
const MAX_FAULTS = 5;

export class UidBook {
  /** One sentence for each thing that was wrong with the texts it was read from; not empty: write it anew. */
  readonly faults: string[] = [];
  readonly #range: UidRange;
  readonly #uids = new Map<string, number>();
  #next: number;

  /** Of one role's two uids the one in an earlier text counts. An empty text is none. */
  constructor(range: UidRange, texts: readonly string[] = []) {
    this.#range = range;
    this.#next = range.first;
    const taken = new Set<number>();
    for (const text of texts) {
      for (const [role, uid] of this.#read(text)) this.#take(role, uid, taken);
    }
  }

  /** By role, as it is now. */
  get uids(): ReadonlyMap<string, number> {
    return this.#uids;
  }

  /** Those among the roles that had none have one from now on, as far as there are any left; returns their uids. */
  assign(roles: Iterable<string>): number[] {
    const given: number[] = [];
    for (const role of roles) {
      if (this.#uids.has(role) || this.#next > this.#range.last) continue;
      this.#uids.set(role, this.#next);
      given.push(this.#next++);
    }
    return given;
  }

  /** As the file has it, see above. */
  toString(): string {
    const roles = [...this.#uids].map(([role, uid]) => `    ${JSON.stringify(role)}: ${uid}`);
    const head = `{ "#spec": ${JSON.stringify(SPEC)},\n  "next": ${this.#next},\n  "roles": {\n`;
    return `${head}${roles.join(',\n')}\n} }\n`;
  }

  #read(text: string): [string, unknown][] {
    if (text === '') return [];
    try {
      const value: unknown = JSON.parse(text);
      if (isObject(value) && value['#spec'] === SPEC && isObject(value.roles)) {
        this.#spend(Number(value.next) - 1);
        return Object.entries(value.roles);
      }
      this.#fault(`The role uids are ${show(value)}, expected an object with "#spec" "${SPEC}".`);
    } catch {
      this.#fault('The role uids are no JSON: every whole line of them is kept.');
    }
    this.#spend(Number(NEXT_LINE.exec(text)?.[1]) - 1);
    return entriesOf(text);
  }

  #take(role: string, uid: unknown, taken: Set<number>): void {
    if (!isName(role) || !this.#isOurs(uid)) {
      this.#fault(
        `Found the uid ${show(uid)} for the role ${show(role)}: it is given another one.`,
      );
      return;
    }
    this.#spend(uid);
    if (this.#uids.has(role)) return;
    if (taken.has(uid)) {
      this.#fault(
        `Found the uid ${uid} for a second role, ${show(role)}: it is given another one.`,
      );
      return;
    }
    taken.add(uid);
    this.#uids.set(role, uid);
  }

  #isOurs(uid: unknown): uid is number {
    const { first, last } = this.#range;
    return Number.isInteger(uid) && Number(uid) >= first && Number(uid) <= last;
  }

  /** Nobody is given this one, nor any below it. */
  #spend(uid: number): void {
    if (this.#isOurs(uid)) this.#next = Math.max(this.#next, uid + 1);
  }

  #fault(sentence: string): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push(sentence);
  }
}

function entriesOf(text: string): [string, number][] {
  return [...text.matchAll(ENTRY_LINE)].flatMap(([, key, uid]): [string, number][] => {
    try {
      return [[JSON.parse(key as string) as string, Number(uid)]];
    } catch {
      return []; // a name that was damaged is nobody's
    }
  });
}
