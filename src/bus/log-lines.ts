/**
 * The output of a program as lines of a log, at a limited rate: a burst, then a few a second. dbus-daemon
 * writes one for every message that it refuses, and anybody may send as many of those as it likes.
 */
const BURST = 20;
const A_SECOND = 2;
const MAX_LINE = 2_000;

export class LogLines {
  readonly #say: (line: string) => void;
  readonly #now: () => number;
  #rest = '';
  #allowance = BURST;
  #at: number;
  #left = 0;

  /** `now`: seconds. */
  constructor(say: (line: string) => void, now = () => performance.now() / 1000) {
    this.#say = say;
    this.#now = now;
    this.#at = now();
  }

  /** Bytes as they come: a line may be in several of them. */
  add(data: Buffer): void {
    const lines = `${this.#rest}${data.toString()}`.split('\n');
    this.#rest = (lines.pop() as string).slice(0, MAX_LINE);
    for (const line of lines) if (line.trim() !== '') this.#line(line.slice(0, MAX_LINE));
  }

  #line(line: string): void {
    const now = this.#now();
    this.#allowance = Math.min(BURST, this.#allowance + (now - this.#at) * A_SECOND);
    this.#at = now;
    if (this.#allowance < 1) {
      this.#left++;
      return;
    }
    this.#allowance--;
    if (this.#left > 0) this.#say(`${this.#left} lines more than a log should take were left out`);
    this.#left = 0;
    this.#say(line);
  }
}
