/**
 * The uid of each role on the hosted bus. A role keeps its uid for good, even while no container has the role. No uid
 * is ever given to a second role: every uid that was read, from a damaged file too, counts as given.
 *
 * Pure. The file has one role a line, so that every whole line of a damaged file can still be read:
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

/** Both ends are included. */
export interface UidRange {
  readonly first: number;
  readonly last: number;
}

const SPEC = 'pv-xconnect-role-uids@1';
/** Whole lines only: in a line that was cut off, the number may be incomplete. */
const ENTRY_LINE = /^ {4}("(?:[^"\\]|\\.)*"): (\d{1,10}),?\n/gm;
const NEXT_LINE = /^ {2}"next": (\d{1,10}),\n/m;
/** The most faults that are reported one by one. */
const MAX_FAULTS = 5;

export class UidBook {
  /**
   * One sentence for each fault of the texts that the book was read from; if there is any, the file is to be rewritten.
   */
  readonly faults: string[] = [];
  readonly #range: UidRange;
  readonly #uids = new Map<string, number>();
  #next: number;

  /** If two texts give a role different uids, that of the earlier text counts. Empty texts are ignored. */
  constructor(range: UidRange, texts: readonly string[] = []) {
    this.#range = range;
    this.#next = range.first;
    const taken = new Set<number>();
    for (const text of texts) {
      for (const [role, uid] of this.#read(text)) this.#take(role, uid, taken);
    }
  }

  /** The current uids, by role. */
  get uids(): ReadonlyMap<string, number> {
    return this.#uids;
  }

  /** Gives a uid to each of the roles that has none, while the range has some left; returns the new uids. */
  assign(roles: Iterable<string>): number[] {
    const given: number[] = [];
    for (const role of roles) {
      if (this.#uids.has(role) || this.#next > this.#range.last) continue;
      this.#uids.set(role, this.#next);
      given.push(this.#next++);
    }
    return given;
  }

  /** The text of the file, see above. */
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

  /** Neither this uid nor any below it will be given to a role. */
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
      return []; // a damaged name is no role
    }
  });
}
