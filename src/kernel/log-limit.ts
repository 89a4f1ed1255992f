/**
 * How often a line may stand in the log. Pure, on a clock of the caller's.
 *
 * A line is known by its text and by whom it is about. It may be written three times in a second. More are counted, and
 * said in one line when their time is over: after that second, then later and later, to 5 minutes, while they go on.
 * Whoever is written about too much in ever other words (a container may make up words) has 100 lines in 10 s: the rest
 * is counted together.
 */

const BURST = 3;
const FIRST_MS = 1_000;
const MOST_MS = 300_000;
/** Lines about one of them in one such time. */
const LINES = 100;
const LINES_MS = 10_000;
/** Different lines that are remembered; and of whom. */
const MAX_LINES = 2_000;
const MAX_SUBJECTS = 1_000;

/** The last one of lines that were left out, and how many. */
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
  /** When it was left out last. */
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

  /** Whether the line is to be written now. `about`: a link, or whatever has its own part of the log. */
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

  /** What is to be said now of lines that were left out, in the order of their last one. Infinity: of all. */
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
