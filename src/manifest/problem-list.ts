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

  constructor(limit = MAX_PROBLEMS) {
    this.#limit = limit;
  }

  /** How many were added, the omitted included. */
  get count(): number {
    return this.#items.length + this.#omitted;
  }

  add(
    code: ProblemCode,
    place: Place,
    found: string,
    expected: string,
    severity: Severity = 'error',
  ): void {
    if (this.#items.length < this.#limit) {
      this.#items.push(problem(code, place, found, expected, severity));
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
