/** pventer in containers of both engines, and the tools of lxc beside it. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { startTicksOfPid } from '../../../src/kernel/boot-clock.js';
import { PACKAGE_ROOT } from '../../../src/kernel/package-root.js';
import { endBy, endOf } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { ENGINES, hasEngine, PVENTER, pventer, runScript, useRevision } from './revision.js';

const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];
/** Something of a link, so that the graph names both. */
const SERVED = { name: 'raw', type: 'unix', socket: '/run/raw.sock' };

describe.each(ENGINES)('on the engine %s', (engine) => {
  describe.runIf(hasEngine(engine) && has('script') && has('stty'))('pventer', () => {
    const revision = useRevision(engine, () => ({
      web: { services: [SERVED], exec: ['sh', '-c', 'echo "$$ runs"; exec sleep infinity'] },
      other: { required: [{ name: 'raw' }] },
      down: { exec: ['true'] },
    }));
    beforeAll(async () => {
      await revision.runtime.untilSaid('web', 'runs');
      for (const name of ['web', 'other']) await revision.runtime.pidOf(name);
    });

    const enter = (...argv: string[]) => revision.run('web', ...argv);
    const said = (...argv: string[]) => revision.ask('web', ...argv);
    const runs = async (program: string) =>
      (await said('cat /proc/[0-9]*/cmdline | tr "\\0" " "')).includes(`${program} `);
    const pid = async () => (await revision.runtime.get('/containers/web')).body.pid as number;

    test('is in all namespaces, in the root and in the cgroups of the container', async () => {
      const first = await pid();
      expect(first).toBe(await revision.runtime.pidOf('web'));
      const theirs = NAMESPACES.map((name) => readlinkSync(`/proc/${first}/ns/${name}`));
      const paths = NAMESPACES.map((name) => `/proc/self/ns/${name}`);
      expect((await said('readlink', ...paths)).split('\n')).toEqual(theirs);
      expect(await said('cat', '/proc/self/cgroup')).toBe(await said('cat', '/proc/1/cgroup'));
      expect(await said('stat', '-c', '%d:%i', '/')).toBe(
        await said('stat', '-c', '%d:%i', '/proc/1/root/'),
      );
    });

    test('has the user, the environment and the privileges of its first process, and no descriptor of ours', async () => {
      expect(await said('id', '-u')).toBe('0');
      const [first, own] = await Promise.all([
        said('cat', '/proc/1/environ'),
        said('cat', '/proc/self/environ'),
      ]);
      for (const variable of first.split('\0')) {
        if (!/^(HOME|SHELL|USER|LOGNAME|TERM)=/.test(variable))
          expect(own.split('\0')).toContain(variable);
      }
      expect(own).not.toContain('VITEST');
      const bounds = await said('grep', '-h', 'CapBnd', '/proc/1/status', '/proc/self/status');
      expect(new Set(bounds.split('\n')).size).toBe(1);
      expect((await said('ls', '/proc/self/fd')).split('\n')).toEqual(['0', '1', '2', '3']); // 3: of ls
    });

    test('gives the words as they are, and one that is more than a name to the shell', async () => {
      expect(await said('printf', '%s,', 'a b', '$HOME', '')).toBe('a b,$HOME,,');
      expect(await said('echo one; echo $((1 + 1)) | cat')).toBe('one\n2');
    });

    test('ends as the command ends', async () => {
      expect(await enter('exit 7')).toMatchObject({ code: 7 });
      expect(await enter('kill -TERM $$')).toMatchObject({ code: 143 });
      const missing = await enter('no-such-program', 'x');
      expect(missing).toEqual({
        code: 127,
        stdout: '',
        stderr: 'pventer: no-such-program: No such file or directory.\n',
      });
      expect((await enter('/proc/1/status')).code).toBe(126);
    });

    test('is another user where that is asked for', async () => {
      const ids = ['sh', '-c', 'id -u; echo $USER'];
      expect((await revision.pventer('-c', 'web', '-u', 'daemon', ...ids)).stdout).toBe(
        '1\ndaemon\n',
      );
      expect((await revision.pventer('--container=web', '--user=4711', 'id', '-u')).stdout).toBe(
        '4711\n',
      );
      const unknown = await revision.pventer('-c', 'web', '-u', 'nobody-at-all', 'id');
      expect(unknown).toMatchObject({
        code: 125,
        stderr: expect.stringContaining('no user nobody-at-all'),
      });
    });

    test('has a terminal of its own where there is one, and a shell with job control on it', async () => {
      const command = `stty rows 41 cols 99; ${process.execPath} ${PVENTER} -s ${revision.runtime.pvCtrl} -c web`;
      const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: 'pipe' });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      child.stdin.write('stty size; sleep 7532\n');
      await eventually(() => expect(text).toMatch(/^41 99\r$/m));
      await eventually(async () => expect(await runs('sleep 7532')).toBe(true));
      child.stdin.write('\x03'); // what it means is up to the terminal: it ends sleep, and nobody else
      await eventually(async () => expect(await runs('sleep 7532')).toBe(false));
      child.stdin.write('echo interrupted $?\n');
      await eventually(() => expect(text).toMatch(/^interrupted 130\r$/m));
      child.stdin.write('exit 3\n');
      expect(await endOf(child)).toBe(3);
    });

    test('ends its command when it is ended', async () => {
      const child = spawn(process.execPath, [
        PVENTER,
        '-s',
        revision.runtime.pvCtrl,
        '-c',
        'web',
        'sleep',
        '7531',
      ]);
      await eventually(async () => expect(await runs('sleep 7531')).toBe(true));
      child.kill('SIGKILL');
      await eventually(async () => expect(await runs('sleep 7531')).toBe(false));
    });

    test('lists the containers, and says why it can’t enter one', async () => {
      const all = await revision.pventer();
      expect(all.stdout).toMatch(/^web +STARTED$/m);
      await eventually(async () =>
        expect(await revision.pventer('-c', 'down')).toMatchObject({
          code: 125,
          stderr: 'pventer: down does not run: it is STOPPED.\n',
        }),
      );
      expect((await revision.pventer('-c', 'nobody')).stderr).toBe(
        'pventer: There is no container "nobody".\n',
      );
      expect(await revision.pventer('ls')).toMatchObject({ code: 2 });
      expect(await revision.pventer('-x')).toMatchObject({ code: 2 });
    });

    if (engine === 'lxc')
      test('does not wait for a container that has a pipe for its /etc/passwd', async () => {
        await revision.ask('other', 'rm /etc/passwd; mkfifo /etc/passwd');
        expect(await revision.ask('other', 'echo', 'in')).toBe('in');
      });

    if (engine === 'lxc')
      test('agrees with the tools of lxc', async () => {
        const lxc = (tool: string, ...args: string[]) =>
          spawnSync(tool, ['-P', join(revision.runtime.folder, 'lxc'), ...args], {
            encoding: 'utf8',
          });
        expect(lxc('lxc-ls', '-f').stdout).toMatch(/^web +RUNNING/m);
        const info = lxc('lxc-info', '-n', 'web').stdout;
        expect(info).toMatch(/^State: +RUNNING$/m);
        expect(info).toMatch(new RegExp(`^PID: +${await pid()}$`, 'm'));
        const attached = lxc(
          'lxc-attach',
          '-n',
          'web',
          '--',
          'sh',
          '-c',
          'readlink /proc/self/ns/mnt; exit 7',
        );
        expect(attached.status).toBe(7);
        expect(attached.stdout.trim()).toBe(await said('readlink', '/proc/self/ns/mnt'));
      });
  });
});

/** A runtime that says this of the container web. */
async function runtimeSaying(said: { pid: number; start_time: number }, use: Use): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-said-'));
  const path = join(folder, 'pv-ctrl');
  const runtime = http.createServer((_asked, answer) => {
    answer.end(JSON.stringify({ name: 'web', status: 'STARTED', ...said }));
  });
  await new Promise<void>((resolve) => runtime.listen(path, resolve));
  try {
    await use(['-s', path, '-c', 'web'], folder);
  } finally {
    await new Promise((resolve) => runtime.close(resolve));
    rmSync(folder, { recursive: true });
  }
}
type Use = (args: readonly string[], folder: string) => Promise<void>;

test('pventer refuses a process that has the pid of one that has ended', async () => {
  // A process that is there, but began at another time than the container's.
  await runtimeSaying({ pid: process.pid, start_time: 1 }, async (args) => {
    expect(await pventer(...args, 'echo', 'in')).toEqual({
      code: 125,
      stdout: '',
      stderr: `pventer: the process ${process.pid} is none of web, which has ended: try again.\n`,
    });
  });
});

test.runIf(isRoot())(
  'pventer says it where pvx-enter is missing or damaged, and needs no addon',
  async () => {
    const ours = { pid: process.pid, start_time: startTicksOfPid('self') };
    await runtimeSaying(ours, async (args, folder) => {
      for (const file of ['package.json', 'bin/pventer', 'dist/bundle/pventer.js'])
        cpSync(join(PACKAGE_ROOT, file), join(folder, file));
      const program = join(folder, 'build/Release/pvx-enter');
      const found = async () => {
        const { code, stderr } = await runScript(
          join(folder, 'bin/pventer'),
          ...args,
          'echo',
          'in',
        );
        expect(code).toBe(125);
        return stderr;
      };
      expect(await found()).toContain(`${program} can't be executed (spawn ${program} ENOENT): `);
      mkdirSync(dirname(program), { recursive: true });
      writeFileSync(program, '', { mode: 0o644 });
      expect(await found()).toContain(`${program} can't be executed (spawn ${program} EACCES): `);
    });
  },
);

test.runIf(isRoot() && has('unshare') && has('nsenter'))(
  'pventer enters a threaded cgroup, which nobody can read',
  async () => {
    const name = `pvx-threads-${process.pid}`;
    const mounted = (command: string) => [
      ...['--mount', 'sh', '-ec'],
      `mount -t cgroup2 none /sys/fs/cgroup; cd /sys/fs/cgroup; ${command}`,
    ];
    const enter = `mkdir -p ${name}/threads; cd ${name}/threads; echo threaded >cgroup.type; echo $$ >cgroup.procs`;
    const first = spawn('unshare', mounted(`${enter}; echo in; exec sleep infinity`));
    try {
      await once(first.stdout, 'data');
      const pid = first.pid as number;
      await runtimeSaying({ pid, start_time: startTicksOfPid(pid) }, async (args) => {
        const inIt = ['-t', String(pid), '--mount', process.execPath, PVENTER, ...args];
        const { stdout, stderr } = await promisify(execFile)('nsenter', [
          ...inIt,
          'cat',
          '/proc/self/cgroup',
        ]);
        expect(stderr).toBe('');
        expect(stdout).toContain(`0::/${name}/threads\n`);
      });
    } finally {
      await endBy(first);
      spawnSync('unshare', mounted(`rmdir ${name}/threads ${name}`));
    }
  },
);
