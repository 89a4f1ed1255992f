/** The commands as a shell has them: what they say and how they end where their output goes nowhere, or they are misspelt. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const EXAMPLE = `${ROOT}examples/unix`;

/** Without a shell of its own: `true` reads nothing. */
function run(command: string, to: string) {
  const node = command.startsWith('scripts/') ? `${process.execPath} ` : '';
  const script = `${node}${ROOT}${command} ${to}`;
  const { status, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', script], {
    encoding: 'utf8',
    cwd: ROOT,
  });
  return { status, stderr };
}

const COMMANDS = [
  `bin/pv-xconnect check ${EXAMPLE}`,
  `bin/pv-xconnect check --json ${EXAMPLE}`,
  `bin/pv-xconnect graph --from ${EXAMPLE}`,
  'bin/pv-xconnect --help',
  'bin/pv-xconnect --version',
  'bin/pv-appengine --help',
  'bin/pv-appengine --version',
  'scripts/start.mjs --help',
];

describe.each(COMMANDS)('%s', (command) => {
  it('is quiet where nobody reads', () => {
    expect(run(command, '| true')).toEqual({ status: 0, stderr: '' });
  });

  it('says that the disk is full, and ends with 1', () => {
    const { status, stderr } = run(command, '> /dev/full');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^(pv-\w+: )?The output can't be written: .*no space.*\.\n$/);
  });
});

describe('what is found wrong', () => {
  it('is the exit code where nobody reads, and where nothing can be said', () => {
    const check = 'bin/pv-xconnect check /nowhere';
    expect(run(check, '| true')).toEqual({ status: 1, stderr: '' });
    expect(run(check, '> /dev/full 2> /dev/full').status).toBe(1);
  });

  it.each([
    ['bin/pv-xconnect chek x', 'error: unknown command "chek" (did you mean "check"?), expected '],
    ['bin/pv-xconnect sing', 'error: unknown command "sing", expected check, graph, '],
    ['bin/pv-xconnect --stat x', "error: unknown option '--stat'"],
    [
      'bin/pv-xconnect --link-memory 0',
      "error: option '--link-memory <MiB>' argument '0' is invalid. A whole ",
    ],
    ['bin/pv-xconnect graph --jsno', "error: unknown option '--jsno'"],
    ['bin/pv-appengine --jsno', "error: unknown option '--jsno'"],
    ['scripts/start.mjs --onec', 'npm start: unknown option "--onec".'],
  ])('in %s is the usage: %s', (command, said) => {
    const { status, stderr } = run(command, '');
    expect(status).toBe(2);
    expect(stderr.startsWith(said)).toBe(true);
  });
});
