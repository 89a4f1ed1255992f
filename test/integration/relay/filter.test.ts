/** The filter of pvx-relay: what it refuses works without it, and what the relay needs is let through. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { errnoName } from '../../../src/kernel/errno.js';
import { compile, relaySources } from '../../support/compile.js';

/** Calls that the filter has, with arguments that the relay gives them. */
const LET_THROUGH = [
  ...['tgkill itself', 'a thread', 'mmap', 'mprotect', 'ioctl of a queue', 'fcntl of a pipe'],
  ...['setsockopt', 'socketpair'],
];
/** What a kernel may refuse by itself, filter or not. */
const REFUSED_ANYWAY = ['io_uring_setup', 'bpf', 'userfaultfd'];

/** By what was tried, an errno's name; null: it worked. */
function tryCalls(filter: 'on' | 'off'): Map<string, string | null> {
  const calls = fileURLToPath(new URL('../../support/filter/relay-calls.c', import.meta.url));
  const linked = [...relaySources().filter((path) => !path.endsWith('/main.c')), calls];
  const program = compile('relay-calls', linked, ['-std=gnu11', '-pthread']);
  const { stdout, status } = spawnSync(program, [filter], { encoding: 'utf8' });
  expect(status).toBe(0);
  return new Map(
    [...stdout.matchAll(/^(.*) (\d+)$/gm)].map(([, name = '', errno]) => [
      name,
      errno === '0' ? null : errnoName(Number(errno)),
    ]),
  );
}

describe('the filter of pvx-relay', () => {
  const on = tryCalls('on');
  const off = tryCalls('off');

  test.each([...on.keys()].filter((name) => !LET_THROUGH.includes(name)))('refuses %s', (name) => {
    expect(on.get(name)).toBe('EPERM');
    if (!REFUSED_ANYWAY.includes(name)) expect(off.get(name)).not.toBe('EPERM');
  });

  test.each(LET_THROUGH)('lets %s through', (name) => {
    expect(on.has(name)).toBe(true);
    expect(on.get(name)).toBe(off.get(name));
  });
});
