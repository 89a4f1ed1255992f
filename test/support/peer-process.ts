/** A program that a test exchanges lines with. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { endOf, hasEnded } from './processes.js';

export class Peer {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #waiting: ((line: string) => void)[] = [];

  constructor(child: ChildProcess) {
    this.#child = child;
    if (!child.stdout) throw new Error('a peer needs its standard output');
    createInterface(child.stdout).on('line', (line) => {
      const next = this.#waiting.shift();
      if (next) next(line);
      else this.#lines.push(line);
    });
    child.once('exit', () => {
      for (const next of this.#waiting.splice(0)) next('');
    });
  }

  /** The next line that it prints; empty once it has ended. */
  line(): Promise<string> {
    const line = this.#lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (hasEnded(this.#child)) return Promise.resolve('');
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  say(text: string): void {
    this.#child.stdin?.write(text);
  }

  async end(): Promise<void> {
    this.#child.stdin?.end();
    await endOf(this.#child);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
