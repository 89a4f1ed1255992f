/**
 * pventer: runs a program in a container, or a shell, with the words of Pantavisor's script by that name. The runtime says
 * which process is the container's first one, and when that began: a process that began at another time is not entered.
 * All of that process is opened through its folder in /proc, which is its own for as long as it is held, and pvx-enter
 * (native/enter) goes in by these descriptors alone.
 */
import { type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { constants as system } from 'node:os';
import { join } from 'node:path';
import { startTicksOf } from '../../kernel/boot-clock.js';
import { PACKAGE_ROOT } from '../../kernel/package-root.js';
import { printable } from '../../manifest/text.js';
import { isSocket, RuntimeClient, runtimeSocket, textOf } from '../pvcontrol/client.js';
import { table } from '../table.js';

const USAGE = `Usage: pventer [options] -c <container> [command [argument...]]
Runs a command in a container, as a program of that container: in its namespaces, root and cgroup, with its environment,
and with no more privileges than it has. Without a command it is the login shell of the user. A command of one word
that a shell has to read ('ls | wc') is read by that shell. Without a container the containers are listed.
  pventer -c <container>              a shell
  pventer -c <container> <command>    a command; its exit code is that of pventer
Options:
  -c, --container <name>  the container
  -u, --user <name|uid>   who the command is there; otherwise PVUSER, otherwise the user of the container's first process
  -s, --socket <path>     the socket of the runtime
  -h, --help              this text
`;
/** In the order in which they are entered. */
const NAMESPACES = ['user', 'cgroup', 'ipc', 'uts', 'net', 'time', 'pid', 'mnt'];
const CGROUPS = '/sys/fs/cgroup';
const FAILED = 125;

interface Options {
  readonly container?: string;
  readonly user?: string;
  readonly socket?: string;
  readonly command: readonly string[];
}

interface Container {
  readonly name: string;
  readonly status: string;
  readonly pid?: number;
  readonly start_time?: number;
}

/** One sentence for people, and the exit code. */
class Refusal extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = FAILED) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** `argv`: without program and script. Resolves with the exit code. */
export async function pventer(argv: readonly string[]): Promise<number> {
  try {
    const options = optionsOf(argv);
    if (options === null) {
      process.stdout.write(USAGE);
      return 0;
    }
    return await run(options);
  } catch (error) {
    process.stderr.write(`pventer: ${(error as Error).message}\n`);
    return error instanceof Refusal ? error.exitCode : FAILED;
  }
}

async function run({
  command,
  container,
  socket = runtimeSocket(),
  user,
}: Options): Promise<number> {
  if (!isSocket(socket)) {
    throw new Refusal(
      `${socket} is no socket of a runtime: start one, or name its socket with -s.`,
    );
  }
  const client = new RuntimeClient(socket, () => undefined);
  if (container === undefined) {
    if (command.length > 0)
      throw new Refusal('it is not said which container: say -c <container>.', 2);
    const all = (await asked(client, '/containers')) as Container[];
    process.stdout.write(
      table(
        ['container', 'status'],
        all.map(({ name, status }) => [printable(name), status]),
      ),
    );
    return 0;
  }
  const found = (await asked(client, `/containers/${encodeURIComponent(container)}`)) as Container;
  return enter(found, command, user || process.env.PVUSER);
}

async function asked(client: RuntimeClient, path: string): Promise<unknown> {
  const answer = await client.ask('GET', path);
  const text = await textOf(answer);
  if (answer.statusCode === 405)
    throw new Refusal('this runtime does not say which process a container is.');
  const value = JSON.parse(text) as { Error?: string };
  if (answer.statusCode !== 200) throw new Refusal(printable(value.Error ?? text));
  return value;
}

/** Null: help was asked for. */
function optionsOf(argv: readonly string[]): Options | null {
  const options: { container?: string; user?: string; socket?: string } = {};
  const names = { c: 'container', u: 'user', s: 'socket' } as const;
  let at = 0;
  for (; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === '-h' || word === '--help') return null;
    if (word === '--') return { ...options, command: argv.slice(at + 1) };
    if (!word.startsWith('-')) break;
    const [, option = '', value = argv[++at]] = /^--?([a-z]+)(?:=(.*))?$/.exec(word) ?? [];
    const name = Object.entries(names).find(([short, long]) =>
      word.startsWith('--') ? option === long : option === short,
    )?.[1];
    if (!name) throw new Refusal(`${printable(word)} is no option: see pventer --help.`, 2);
    if (!value) throw new Refusal(`${word} lacks its value: see pventer --help.`, 2);
    options[name] = value;
  }
  return { ...options, command: argv.slice(at) };
}

/** Opens all of it, and runs pvx-enter to its end; its exit code. */
async function enter(
  { name, pid = 0, start_time, status }: Container,
  command: readonly string[],
  user: string | undefined,
): Promise<number> {
  if (pid <= 0) throw new Refusal(`${printable(name)} does not run: it is ${status}.`);
  const opened: number[] = [];
  const open = (path: string, flags: number) => {
    const fd = openSync(path, flags);
    opened.push(fd);
    return fd;
  };
  const stdio: (number | 'inherit')[] = ['inherit', 'inherit', 'inherit'];
  /** The number that a descriptor has for pvx-enter. */
  const given = (fd: number) => String(stdio.push(fd) - 1);
  try {
    const held = `/proc/self/fd/${open(`/proc/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY)}`;
    const read = (file: string) => readFileSync(join(held, file), 'latin1');
    if (startTicksOf(read('stat')) !== start_time) {
      throw new Refusal(
        `the process ${pid} is none of ${printable(name)}, which has ended: try again.`,
      );
    }
    const args = ['--parent', String(process.pid)];
    for (const one of NAMESPACES.filter((kind) => isAnother(held, kind))) {
      args.push('--ns', given(open(join(held, 'ns', one), constants.O_RDONLY)));
    }
    for (const path of cgroupsOf(read('cgroup'))) {
      args.push('--cgroup', given(open(join(path, 'cgroup.procs'), constants.O_WRONLY)));
    }
    args.push(
      '--root',
      given(open(join(held, 'root'), constants.O_RDONLY | constants.O_DIRECTORY)),
    );
    args.push('--environ', given(open(join(held, 'environ'), constants.O_RDONLY)));
    args.push(...privilegesOf(read('status')));
    if (user) args.push('--user', user);
    if (process.stdin.isTTY && process.stdout.isTTY) args.push('--terminal');
    if (process.env.TERM) args.push('--term', process.env.TERM);
    return await execute([...args, '--', ...command], stdio);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH')
      throw new Refusal(`${printable(name)} has ended: ${message}.`);
    if (code === 'EACCES' || code === 'EPERM') {
      throw new Refusal(`${printable(name)} can't be entered by you: be root (${message}).`);
    }
    throw error;
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

/** Its exit code. What fails here says nothing of the container. */
async function execute(args: readonly string[], stdio: StdioOptions): Promise<number> {
  const program = join(PACKAGE_ROOT, 'build/Release/pvx-enter');
  try {
    const child = spawn(program, args, { stdio });
    for (const signal of ['SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => child.kill(signal));
    // Those of a terminal reach the command itself.
    for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, () => undefined);
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + system.signals[signal as NodeJS.Signals];
  } catch (error) {
    throw new Refusal(
      `${program} can't be executed (${(error as Error).message}): if it is not whole, run npm ci in its folder, or install the package anew.`,
    );
  }
}

/** Whether it is in another one than we are. */
function isAnother(held: string, kind: string): boolean {
  try {
    return readlinkSync(join(held, 'ns', kind)) !== readlinkSync(`/proc/self/ns/${kind}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false; // an old kernel has no such namespace
    throw error;
  }
}

/** Folders of the host, from /proc/PID/cgroup (cgroups(7)). Those of hierarchies that nobody mounts are left out. */
function cgroupsOf(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      const [, names = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      const folders = names === '' ? ['unified', ''] : [names.replace(/^name=/, '')];
      const found = folders.map((folder) => join(CGROUPS, folder, path)).find(isCgroup);
      return found === undefined ? [] : [found];
    });
}

/** One that is threaded can't be read, but may be entered. */
const isCgroup = (folder: string) => existsSync(join(folder, 'cgroup.procs'));

/** Who the first process is, and what it could ever do, from /proc/PID/status. */
function privilegesOf(status: string): string[] {
  const field = (name: string) =>
    new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1]?.trim() ?? '';
  const effective = (name: string) => field(name).split(/\s+/)[1] ?? '0';
  const ids = [effective('Uid'), effective('Gid'), ...field('Groups').split(/\s+/).filter(Boolean)];
  const isLimited = field('NoNewPrivs') === '1' ? ['--no-new-privileges'] : [];
  return ['--ids', ids.join(':'), '--capabilities', field('CapBnd'), ...isLimited];
}
