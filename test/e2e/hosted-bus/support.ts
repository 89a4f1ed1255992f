/**
 * Containers on the hosted bus, from a revision that the test writes: the real daemon with --state, the real pvx-bus
 * and dbus-daemon, and real clients in the containers.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { PYTHON, SERVICE } from '../../support/bus/bus.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { TestDaemon, type TestDaemonOptions } from '../../support/daemon.js';
import { childNamed, childrenOf } from '../../support/processes.js';
import { eventually } from '../../support/wait.js';
import { type Files, requires, services } from '../../unit/manifest/scratch.js';

export const TARGET = '/run/dbus/system_bus_socket';
export const FOO = 'org.example.Foo';
export const DRIVER = 'org.freedesktop.DBus';
export const DENIED = 'org.freedesktop.DBus.Error.AccessDenied';
const SERVICE_TEXT = readFileSync(SERVICE, 'utf8');

/** `run.json` of a container that is on the bus as that role. */
export function onBus(...roles: string[]) {
  const [first, ...more] = roles.map((role) => ({ name: 'system-bus', role }));
  return requires(
    { ...first, target: TARGET },
    ...more.map((one) => ({ ...one, target: `/run/dbus/${one.role}` })),
  );
}

/** `services.json` of a container that owns names. */
export function owns(role: string, allow: readonly string[] | undefined, ...names: string[]) {
  const by = { type: 'dbus', role, ...(allow ? { allow } : {}) };
  return services(...names.map((name) => ({ ...by, owns: name })));
}

/** A service that these roles may call, and an operator. */
export function hostedRevision(allow: readonly string[]) {
  return {
    'service/services.json': owns('foo-service', allow, FOO),
    'service/run.json': onBus('foo-service'),
    'client/run.json': onBus('operator'),
  };
}

/** Calls Echo for each line that it reads, over one connection. */
export const ASKER = `
import dbus, dbus.bus, sys
bus = dbus.bus.BusConnection("unix:path=${TARGET}")
print("ready", flush=True)
for text in sys.stdin:
    try:
        print(bus.call_blocking("${FOO}", "/", "org.example.Test", "Echo", "s", [text.strip()]), flush=True)
    except dbus.DBusException as e:
        print(e.get_dbus_name(), flush=True)
`;

export interface Talk {
  ask(text: string): Promise<string>;
}

export interface Service {
  readonly line: string;
  readonly process: ChildProcess;
}

export class HostedMesh {
  readonly folder = mkdtempSync(join(tmpdir(), 'pvx-hosted-'));
  readonly daemon: TestDaemon;
  readonly containers = new Map<string, TestContainer>();
  readonly #running: ChildProcess[] = [];

  constructor(options: TestDaemonOptions = {}) {
    const [state, pids] = [join(this.folder, 'state'), join(this.folder, 'pids.json')];
    mkdirSync(state);
    chmodSync(this.folder, 0o755); // the daemon is an ordinary user
    const storage = join(this.folder, 'storage');
    const args = ['--state', state, '--pids', pids, '--storage', storage];
    this.daemon = new TestDaemon(args, options);
  }

  /** Makes this the revision, starts the containers that are new, and the daemon where it does not run. */
  async start(files: Files): Promise<void> {
    this.write(files);
    const names = new Set(Object.keys(files).map((path) => path.split('/')[0] as string));
    for (const name of names) {
      if (!this.containers.has(name)) this.containers.set(name, await startContainer({ name }));
    }
    this.writePids();
    if (!this.daemon.process) await this.daemon.launch();
  }

  write(files: Files): void {
    for (const [path, value] of Object.entries(files)) {
      const at = join(this.folder, 'state', path);
      mkdirSync(dirname(at), { recursive: true });
      writeFileSync(`${at}.new`, JSON.stringify(value));
      renameSync(`${at}.new`, at);
    }
  }

  writePids(): void {
    const pids = Object.fromEntries([...this.containers].map(([name, { pid }]) => [name, pid]));
    const at = join(this.folder, 'pids.json');
    writeFileSync(`${at}.new`, JSON.stringify(pids));
    renameSync(`${at}.new`, at);
  }

  /** Waits until every link is, and until there are as many as containers that run require. */
  async established(count?: number): Promise<void> {
    await eventually(async () => {
      const links = (await this.daemon.shown()).filter(({ consumer_pid }) => consumer_pid > 0);
      const others = links.filter(({ state }) => state !== 'established');
      if (links.length < (count ?? 1) || others.length > 0) {
        throw new Error(`${links.length} links: ${JSON.stringify(others)} ${this.daemon.log}`);
      }
    });
  }

  in(container: string): TestContainer {
    const found = this.containers.get(container);
    if (!found) throw new Error(`there is no container ${container}`);
    return found;
  }

  /** The planted socket as the host sees it, for a client in the test's own process. */
  socket(container: string, target = TARGET): string {
    return join(this.in(container).rootDir, target);
  }

  /** Where the bus's own socket and configuration are, on the host. */
  get busFolder(): string {
    return join(dirname(this.daemon.control), 'bus');
  }

  /** Process id of pvx-bus. */
  get busProgramPid(): number {
    return childNamed(this.daemon.pid, 'pvx-bus');
  }

  /** Process id of dbus-daemon; 0 where it does not run. */
  get busPid(): number {
    return childrenOf(this.busProgramPid)[0] ?? 0;
  }

  uids(): Record<string, number> {
    const file = join(this.folder, 'storage/bus/role-uids.json');
    return (JSON.parse(readFileSync(file, 'utf8')) as { roles: Record<string, number> }).roles;
  }

  /** dbus-send in a container, for its answer and its errors in one text. */
  async call(container: string, destination: string, method: string, ...args: string[]) {
    const address = `--bus=unix:path=${TARGET}`;
    const target = ['--print-reply=literal', `--dest=${destination}`, '/', method];
    const argv = ['dbus-send', address, ...target, ...args];
    const { code, stdout, stderr } = await this.in(container).exec(argv, { timeout: 30_000 });
    return { code, out: `${stdout}${stderr}`.trim() };
  }

  /** A service of python3-dbus in a container, by its first line. */
  async serve(container: string, ...names: string[]): Promise<Service> {
    const argv = [PYTHON, '-c', SERVICE_TEXT, `unix:path=${TARGET}`, ...names];
    const process = this.in(container).run(argv);
    this.#running.push(process);
    const said = once(createInterface(process.stdout as NodeJS.ReadableStream), 'line');
    const ended = once(process, 'close').then(() => ['']);
    const [line] = (await Promise.race([said, ended])) as [string];
    return { line, process };
  }

  /** Starts a program that says "ready", and then answers each line with a line. */
  async talk(container: string, argv: readonly string[]): Promise<Talk> {
    const process = this.in(container).run(argv);
    this.#running.push(process);
    const lines = createInterface(process.stdout as NodeJS.ReadableStream);
    await once(lines, 'line');
    const ask = async (text: string) => {
      const answer = once(lines, 'line');
      process.stdin?.write(`${text}\n`);
      return ((await answer) as [string])[0];
    };
    return { ask };
  }

  /** Ends the services, not the containers. */
  reset(): void {
    for (const child of this.#running.splice(0)) child.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.reset();
    await this.daemon.stop();
    await Promise.all([...this.containers.values()].map((container) => container.kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
