/**
 * pvx-relay itself, spoken to by a daemon that may say anything (program.py): what its records do when they are right,
 * when they are wrong, and when nobody reads what it has to say.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { pythonOf } from '../../support/python.js';
import { isRoot } from '../../support/requirements.js';

const PROGRAM = join(PACKAGE_ROOT, 'build/Release/pvx-relay');
const CASES = pythonOf(import.meta.url, 'program.py', 'program-cases.py');

describe.runIf(isRoot())('pvx-relay', () => {
  test.each([
    ['greeting', 'does nothing before HELLO, and tells each daemon that says it what stands'],
    ['counters', 'counts where nobody else can write, and from nothing for a link that is made'],
    ['owed', 'sends what each side is owed first, whole or not at all'],
    ['malformed', 'does nothing for a record that is no command, and closes what came with it'],
    ['fuzz', 'lives through any commands, and keeps no descriptor of theirs'],
    ['unread', 'goes on for a daemon that reads nothing, and hands its successor all who wait'],
    ['asked', 'asks a successor of the daemon what the one before has not answered'],
    ['brokers', 'takes answers to its own requests alone, and goes on without a broker'],
    [
      'raced',
      'passes on bodies whole, whether they are spliced, copied, or first one and then the other',
    ],
    ['tapped', 'leaves it to streams that can be spliced how long bodies go'],
    [
      'crowded',
      'holds so much and no more of fast streams that nobody reads, and waits without a timer',
    ],
    [
      'ends',
      'has no capability, no new privileges, a filter, and refuses to start as what it should not be',
    ],
  ])('%s: %s', (name) => {
    const { status, stderr } = spawnSync('python3', ['-c', CASES, PROGRAM, name], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });
});
