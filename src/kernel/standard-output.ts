/**
 * Standard output of a command. Output that can't be written is no exception: a reader that has left (`| head -1`) is
 * ignored, and a full disk is reported as a failure when the command ends.
 */
type Failure = NodeJS.ErrnoException;

export class StandardOutput {
  readonly #program: string;
  #failure: Failure | null = null;

  /** From now on an error of the two streams does not end the process. `program`: its name in messages. */
  constructor(program: string) {
    this.#program = program;
    process.stdout.on('error', (error: Failure) => {
      this.#failure ??= error;
    });
    process.stderr.on('error', () => undefined);
  }

  /** Waits until everything is written. Resolves with the exit code: `code`, or 1 if something was not written. */
  async settle(code: number): Promise<number> {
    await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
    await new Promise(setImmediate); // an error is told after the write that it is about
    const failure = this.#failure;
    if (!failure || failure.code === 'EPIPE') return code;
    const reason = failure.code === 'ENOSPC' ? 'no space is left there' : failure.message;
    process.stderr.write(`${this.#program}: The output can't be written: ${reason}.\n`);
    return code || 1;
  }
}
