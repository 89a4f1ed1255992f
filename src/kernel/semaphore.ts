/** A counting semaphore: so many pieces of work run at once, the others wait for their turn in the order in which they came. */
export class Semaphore {
  readonly #size: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /** `size`: how many run at once. */
  constructor(size: number) {
    this.#size = size;
  }

  /** How many run, and how many wait. */
  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Settles as the work does, which begins at once where fewer run than may. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken < this.#size) this.#taken++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve)); // takes over the place of whoever ends
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#taken--;
    }
  }
}
