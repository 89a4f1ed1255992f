/**
 * A process that the benchmark started, which is read line by line, and ended by its pid.
 *
 * No process outlives the run: `Task.stopAll` ends those that are left, and those run by `load exec` end with this one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const GRACE_MS = 3000;
const live = new Set<Task>();

export class Task {
  readonly pid: number;
  /** How it ended, in words. Never rejects. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #what: string;
  readonly #log: string | undefined;
  readonly #lines: AsyncIterator<string> | undefined;
  readonly #errors: string[] = [];

  /**
   * `log`: a file that takes all output. Without one, stdout is for `line`, stdin stays open until `stop`, and
   * stderr is kept for the error message.
   */
  constructor(argv: readonly string[], options: { cwd?: string; log?: string; env?: object } = {}) {
    const log = options.log === undefined ? undefined : openSync(options.log, 'a');
    const child = spawn(argv[0] as string, argv.slice(1), {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
      stdio: log === undefined ? 'pipe' : ['ignore', log, log],
    });

    if (log !== undefined) closeSync(log);
    this.#what = argv.join(' ').slice(0, 200);
    this.#log = options.log;
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    live.add(this);
    void this.ended.then(() => live.delete(this));
    child.stderr?.on('data', (chunk: Buffer) => this.#errors.push(chunk.toString()));
    if (child.stdout) this.#lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  }

  /** The next line of its output. Rejects where it ended without one. */
  async line(): Promise<string> {
    const next = await this.#lines?.next();
    if (next && !next.done) return next.value;
    throw new Error(`${this.#what}: ${await this.ended} ${this.output()}`.trim());
  }

  /** The end of its output, for an error message. */
  output(): string {
    const text = this.#log ? readFileSync(this.#log, 'utf8') : this.#errors.join('');
    return text.slice(-2000).trim();
  }

  async stop(): Promise<void> {
    if (!live.has(this)) return;
    this.#child.stdin?.end();
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await this.ended;
    clearTimeout(timer);
  }

  static async stopAll(): Promise<void> {
    await Promise.all([...live].map((task) => task.stop()));
  }
}
