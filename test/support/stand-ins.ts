/**
 * A pvx-broker for machines without a GPU or an input device: other devices stand in for them, and the questions
 * that only the real ones understand are answered and recorded (stand-ins/ioctl.c says which).
 *
 * It is another program, compiled by the tests with a definition that no installed one is compiled with. For a
 * daemon, it is mounted over the real one, in a mount namespace of that daemon alone.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brokerSources, compile } from './compile.js';

const IOCTL = fileURLToPath(new URL('stand-ins/ioctl.c', import.meta.url));

/** Path of the program. */
export function standInBroker(): string {
  const sources = [...brokerSources(), IOCTL];
  const flags = process.env.PVX_TEST_CFLAGS?.split(' ') ?? []; // scripts/sanitize.mjs
  const name = flags.length > 0 ? 'pvx-broker-sanitized' : 'pvx-broker';
  return compile(name, sources, ['-std=gnu11', '-DPVX_STAND_INS', '-pthread', ...flags]);
}

/** Where the ioctls of such a broker are written down. */
export class IoctlRecord {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pvx-ioctls-'));
  readonly #path = join(this.#folder, 'ioctls');

  constructor() {
    this.clear();
  }

  /** For the broker's environment. */
  get env(): Record<string, string> {
    return { PVX_TEST_IOCTLS: this.#path };
  }

  /** `MAJOR:MINOR WHAT`, in their order. */
  lines(): string[] {
    return readFileSync(this.#path, 'utf8').split('\n').filter(Boolean);
  }

  clear(): void {
    writeFileSync(this.#path, '', { mode: 0o666 });
  }

  /** Whether a process outside of the mesh is master of the card. */
  setBusy(busy: boolean): void {
    if (busy) writeFileSync(`${this.#path}.busy`, '');
    else rmSync(`${this.#path}.busy`, { force: true });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}
