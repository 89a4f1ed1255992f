/**
 * How often a line may stand in the log. Pure, on a clock of the caller's.
 *
 * Two lines are the same if their text and their subject, such as a link, are. A line may be written three times in a
 * second. Further ones are counted, and one line tells the count when the second is over. While they continue, the
 * counts come at growing intervals of up to 5 minutes. Lines about one subject whose texts differ (a container can make
 * up texts) are limited to 100 in 10 s; the others are counted together.
 */

const BURST = 3;
const FIRST_MS = 1_000;
const MOST_MS = 300_000;
/** The most lines about one subject in `LINES_MS`. */
const LINES = 100;
const LINES_MS = 10_000;
/** How many different lines, and how many subjects, are remembered. */
const MAX_LINES = 2_000;
const MAX_SUBJECTS = 1_000;

/** Lines that were left out: the last one, and how many they were. */
export interface LeftOut<T> {
  readonly line: T;
  readonly times: number;
  /** They were all the same. */
  readonly isSame: boolean;
}

interface Remembered<T> {
  written: number;
  leftOut: number;
  last: T;
  /** When a line was last left out. */
  at: number;
  until: number;
}

export class LogLimit<T> {
  readonly #lines = new Map<string, Remembered<T> & { windowMs: number }>();
  readonly #subjects = new Map<string, Remembered<T>>();

  /** Nothing is remembered, so nothing will be due. */
  get isEmpty(): boolean {
    return this.#lines.size === 0 && this.#subjects.size === 0;
  }

  /** Whether the line is to be written now. `about`: its subject, such as a link. */
  admits(about: string, text: string, line: T, now: number): boolean {
    const key = `${about}\0${text}`;
    const known = this.#lines.get(key);
    if (known && known.written >= BURST) return leaveOut(known, line, now);
    const subject = this.#subjects.get(about);
    if (subject && subject.written >= LINES) return leaveOut(subject, line, now);
    if (subject) subject.written++;
    else if (this.#subjects.size < MAX_SUBJECTS) {
      this.#subjects.set(about, remembered(line, now + LINES_MS));
    }
    if (known) known.written++;
    else if (this.#lines.size < MAX_LINES) {
      this.#lines.set(key, { ...remembered(line, now + FIRST_MS), windowMs: FIRST_MS });
    }
    return true;
  }

  /** The counts that are due, in the order of the last line that was left out. `now` is Infinity: all counts. */
  due(now: number): LeftOut<T>[] {
    const due: (LeftOut<T> & { at: number })[] = [];
    for (const [key, line] of this.#lines) {
      if (line.until > now) continue;
      if (line.leftOut === 0) {
        this.#lines.delete(key);
        continue;
      }
      due.push({ line: line.last, times: line.leftOut, isSame: true, at: line.at });
      line.leftOut = 0;
      line.windowMs = Math.min(2 * line.windowMs, MOST_MS);
      line.until = now + line.windowMs;
    }
    for (const [about, { leftOut, last, at, until }] of this.#subjects) {
      if (until > now) continue;
      this.#subjects.delete(about);
      if (leftOut > 0) due.push({ line: last, times: leftOut, isSame: false, at });
    }
    return due.sort((a, b) => a.at - b.at);
  }
}

function remembered<T>(last: T, until: number): Remembered<T> {
  return { written: 1, leftOut: 0, last, at: 0, until };
}

function leaveOut<T>(known: Remembered<T>, line: T, now: number): false {
  known.leftOut++;
  known.last = line;
  known.at = now;
  return false;
}
