/** pvx-enter by itself: what it does when one of its processes is killed at any time, and whom it takes for a user. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/kernel/package-root.js';
import { busyboxRoot } from '../../support/busybox-root.js';
import { compile } from '../../support/compile.js';
import { childrenOf, descendantsOf, endBy, endOf } from '../../support/processes.js';
import { has, isRoot, ORDINARY_USER } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const PROGRAM = join(PACKAGE_ROOT, 'build/Release/pvx-enter');
/** Whoever starts it has to be one that can be killed. */
const STARTED = '"$0" --parent $$ "$@"; exit';
const ROOT = [
  '--root',
  '3',
  '--environ',
  '4',
  '--ids',
  '0:0',
  '--capabilities',
  'ffffffffffffffff',
];

describe.runIf(isRoot() && has('busybox') && has('unshare') && has('setpriv'))('pvx-enter', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-enter-'));
  const others: ChildProcess[] = [];
  const namespaces = { none: '', pid: '', user: '' };

  beforeAll(async () => {
    busyboxRoot(folder, '');
    chmodSync(folder, 0o755); // for other users
    const line = 'large:x:3000000000:3000000001::/run:/bin/sh';
    writeFileSync(join(folder, 'etc/passwd'), `root:x:0:0::/:/bin/sh\n${line}\n`);
    writeFileSync(join(folder, 'environ'), 'PATH=/bin\0');
    const made = (argv: string[]) => {
      const [program = '', ...args] = [...argv, 'sleep', 'infinity'];
      const child = spawn(program, args, { stdio: 'ignore' });
      others.push(child);
      return eventually(() => {
        const [first] = childrenOf(child.pid as number);
        if (first === undefined) throw new Error('there is no namespace yet');
        return `/proc/${first}/ns`;
      });
    };
    const forked = ['--fork', '--kill-child'];
    namespaces.pid = `${await made(['unshare', '--pid', ...forked])}/pid`;
    const ofAnother = ['setpriv', ...ORDINARY_USER, 'unshare', '--user', '--map-root-user'];
    namespaces.user = `${await made([...ofAnother, ...forked])}/user`;
  });
  afterAll(async () => {
    for (const one of others) await endBy(one);
    rmSync(folder, { recursive: true });
  });

  /** Its output and errors together are `said`. */
  function start(namespace: keyof typeof namespaces, args: readonly string[], waitsAt = 0) {
    const paths = [folder, join(folder, 'environ'), namespaces[namespace] || '/dev/null'];
    const fds = paths.map((path) => openSync(path, 'r'));
    const library = compile(
      'waits.so',
      [fileURLToPath(new URL('waits.c', import.meta.url))],
      ['-shared', '-fPIC'],
    );
    const ns = namespaces[namespace] ? ['--ns', '5'] : [];
    const child = spawn('sh', ['-c', STARTED, PROGRAM, ...ROOT, ...ns, ...args], {
      // Behind the runtime of a sanitizer, which has to be first. The shell asks for nothing like it.
      env: {
        ...process.env,
        LD_PRELOAD: `${process.env.LD_PRELOAD ?? ''} ${library}`.trim(),
        WAITS_AT: String(waitsAt),
      },
      stdio: ['pipe', 'pipe', 'pipe', ...fds],
    });
    for (const fd of fds) closeSync(fd);
    const closed = once(child, 'close');
    const running = { child, closed, said: '' };
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (data) => {
        running.said += data;
      });
    return running;
  }

  test.each([
    ['the first process', 'none', 1],
    ['the one that enters', 'none', 2],
    ['the one that enters, behind the namespaces', 'none', 3],
    ['the program', 'none', 4],
    ['the program in a pid namespace', 'pid', 4],
  ] as const)(
    '%s ends where the one above it has ended before it looked',
    async (_who, namespace, at) => {
      const running = start(namespace, ['--', 'sh', '-c', 'echo entered'], at);
      const { child, closed } = running;
      await eventually(() => expect(running.said).toContain('waits'));
      const chain = [child.pid as number, ...descendantsOf(child.pid as number)];
      process.kill(chain.at(-2) as number, 'SIGKILL');
      await endOf(child); // which is above all of them, and waits for them
      child.stdin?.end('\n');
      await closed; // nobody is there any more
      expect(running.said).not.toContain('entered');
    },
  );

  test('all end with the one above, in a user namespace of another user as well', async () => {
    const running = start('user', ['--', 'sh', '-c', 'echo entered; exec sleep 7533']);
    await eventually(() => expect(running.said).toBe('entered\n'));
    await endBy(running.child);
    await running.closed;
  });

  test('a uid of ten digits is one, whether it has a line in /etc/passwd or not', async () => {
    const idsOf = async (user: string) => {
      const running = start('none', ['--user', user, '--', 'sh', '-c', 'id -u; id -g; echo $HOME']);
      await running.closed;
      return running.said.split('\n').slice(0, -1);
    };
    expect(await idsOf('large')).toEqual(['3000000000', '3000000001', '/run']);
    expect(await idsOf('3000000000')).toEqual(['3000000000', '3000000001', '/run']);
    expect(await idsOf('1000000000')).toEqual(['1000000000', '1000000000', '/']);
    expect(await idsOf('4294967294')).toEqual(['4294967294', '4294967294', '/']);
    for (const none of ['4294967295', '10000000000'])
      expect(await idsOf(none)).toEqual([`pventer: there is no user ${none} in its /etc/passwd.`]);
  });
});
