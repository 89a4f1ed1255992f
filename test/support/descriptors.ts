/** Descriptors that are closed by threads (src/relay/closing.ts), in a moment and not at once. */
import { fstatSync } from 'node:fs';
import { expect } from 'vitest';
import { eventually } from './wait.js';

/** Resolves once `fd` is closed. */
export async function closed(fd: number): Promise<void> {
  await eventually(() => expect(() => fstatSync(fd)).toThrow('EBADF'));
}
