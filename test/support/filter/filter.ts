/** The filter of system calls of a program of ours: what it refuses works without it, and what is needed is let through. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { errnoName } from '../../../src/kernel/errno.js';
import { compile } from '../compile.js';

export interface FilterTest {
  /** The program's files; what is in its main.c is left out. */
  readonly sources: readonly string[];
  /** Name of the file beside this one that makes the calls. */
  readonly calls: string;
  /** Calls that the filter has, with arguments that the program gives them. */
  readonly letThrough: readonly string[];
  /** What a kernel may refuse by itself, filter or not. */
  readonly refusedAnyway: readonly string[];
}

/** By what was tried, an errno's name; null: it worked. */
function tryCalls({ sources, calls }: FilterTest, filter: 'on' | 'off') {
  const own = [calls, 'try.h'].map((name) => fileURLToPath(new URL(name, import.meta.url)));
  const linked = [...sources.filter((path) => !path.endsWith('/main.c')), ...own];
  const program = compile(basename(calls, '.c'), linked, ['-std=gnu11', '-pthread']);
  const folder = mkdtempSync(join(tmpdir(), 'pvx-calls-'));
  const { stdout, status } = spawnSync(program, [filter, folder], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  expect(status).toBe(0);
  return new Map(
    [...stdout.matchAll(/^(.*) (\d+)$/gm)].map(([, name = '', errno]) => [
      name,
      errno === '0' ? null : errnoName(Number(errno)),
    ]),
  );
}

/** A test for each call that is tried. */
export function describeFilter(program: string, filter: FilterTest): void {
  const { letThrough, refusedAnyway } = filter;
  describe(`the filter of ${program}`, () => {
    const on = tryCalls(filter, 'on');
    const off = tryCalls(filter, 'off');

    test.each([...on.keys()].filter((name) => !letThrough.includes(name)))('refuses %s', (name) => {
      expect(on.get(name)).toBe('EPERM');
      if (!refusedAnyway.includes(name)) expect(off.get(name)).not.toBe('EPERM');
    });

    test.each(letThrough)('lets %s through', (name) => {
      expect(on.has(name)).toBe(true);
      expect(on.get(name)).toBe(off.get(name));
    });
  });
}
