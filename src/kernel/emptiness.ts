/** Waiting until something is empty, whoever it is that empties it. */
export class Emptiness {
  readonly #isEmpty: () => boolean;
  #waiting: (() => void)[] = [];

  constructor(isEmpty: () => boolean) {
    this.#isEmpty = isEmpty;
  }

  /** Resolves at once where it is empty already. */
  reached(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.check();
    });
  }

  /** To be called whenever something was taken out. */
  check(): void {
    if (!this.#isEmpty()) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
