/**
 * Work of which one run at a time is enough, for each run takes in all that changed before it began: however often it is
 * asked for while one run is under way, one more run follows that one.
 */
export class SingleFlight {
  readonly #work: () => Promise<void>;
  #isRunning = false;
  #isWantedAgain = false;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /**
   * Runs the work now, or again once the run under way is over. Who begins the first run is told of its end and that of
   * the runs that follow at once; where the work rejects, so does this, and no run follows. Everybody else is told at
   * once, and of nothing.
   */
  async run(): Promise<void> {
    this.#isWantedAgain = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      while (this.#isWantedAgain) {
        this.#isWantedAgain = false;
        await this.#work();
      }
    } finally {
      this.#isRunning = false;
    }
  }
}
