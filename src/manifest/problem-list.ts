/**
 * Collects problems, bounded: a hostile revision can have millions, and nobody reads past the first
 * hundreds. What is left out is counted, and its severity is kept.
 */
import { MAX_PROBLEMS } from './limits.js';
import { type Place, type Problem, type ProblemCode, problem, type Severity } from './problem.js';

export class ProblemList {
  readonly #items: Problem[] = [];
  readonly #limit: number;
  #omitted = 0;
  #omittedErrors = 0;
  #errors = 0;

  constructor(limit = MAX_PROBLEMS) {
    this.#limit = limit;
  }

  /** How many were added, the omitted included. */
  get count(): number {
    return this.#items.length + this.#omitted;
  }

  /** How many of them are errors. */
  get errors(): number {
    return this.#errors;
  }

  /** Whether what is added from now on is only counted. */
  get isFull(): boolean {
    return this.#items.length >= this.#limit;
  }

  /** The last one that was added; undefined: there is none, or it was omitted. */
  get last(): Problem | undefined {
    return this.#omitted > 0 ? undefined : this.#items.at(-1);
  }

  /** Those that are about a whole file, by its name. */
  files(): string[] {
    return this.#items.flatMap(({ file, pointer }) => (pointer === '' ? [file] : []));
  }

  /** `expected` as a function: asked only where the problem is not omitted, as finding near names takes time. */
  add(
    code: ProblemCode,
    place: Place,
    found: string,
    expected: string | (() => string),
    severity: Severity = 'error',
  ): void {
    if (severity === 'error') this.#errors++;
    if (!this.isFull) {
      const text = typeof expected === 'string' ? expected : expected();
      this.#items.push(problem(code, place, found, text, severity));
      return;
    }
    this.#omitted++;
    if (severity === 'error') this.#omittedErrors++;
  }

  /** All of them in the order found, and one more that counts the omitted, where there are any. */
  list(): Problem[] {
    if (this.#omitted === 0) return [...this.#items];
    const rest = problem(
      'problems-omitted',
      { file: this.#items[0]?.file ?? '', pointer: '' },
      `${this.#omitted} more problems, ${this.#omittedErrors} of them errors`,
      `at most ${this.#limit}`,
      this.#omittedErrors > 0 ? 'error' : 'notice',
    );
    return [...this.#items, rest];
  }
}
