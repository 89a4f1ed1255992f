/**
 * The hosted bus in the test's own process, which is root: the real pvx-bus, the real dbus-daemon. Its folder is
 * opened up, so that a test may be any uid on it without a daemon between.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BusHost } from '../../../src/bus/bus-host.js';
import { Keeper } from '../../../src/bus/keeper.js';
import { type BusPlaces, busCommand, busPlaces, spawnBus } from '../../../src/bus/program.js';
import type { UidRange } from '../../../src/bus/uid-book.js';
import type { HostedBus } from '../../../src/graph/link-maker.js';
import { type Files, revisionFrom } from '../../unit/manifest/scratch.js';
import { childrenOf, endBy, endOf, hasEnded } from '../processes.js';
import { eventually } from '../wait.js';

export const SERVICE = fileURLToPath(new URL('service.py', import.meta.url));
/** The system's own, which has the modules of its packages. */
export const PYTHON = '/usr/bin/python3';

export interface Said {
  readonly code: number | null;
  readonly out: string;
}

export class TestBus {
  readonly folder: string;
  places: BusPlaces;
  readonly log: string[] = [];
  readonly host: BusHost;
  process!: ChildProcess;
  keeper?: Keeper;
  lost = 0;
  readonly #uids: UidRange;
  readonly #clients: ChildProcess[] = [];

  /** `folder`: of an earlier one, which is stopped. */
  constructor(
    uids: UidRange = { first: 200_000, last: 200_999 },
    folder = mkdtempSync(join(tmpdir(), 'pvx-bus-')),
  ) {
    this.#uids = uids;
    this.folder = folder;
    this.places = busPlaces(join(folder, 'control.sock'), join(folder, 'storage'));
    chmodSync(this.folder, 0o711);
    const log = (line: string | object, text?: string) => void this.log.push(text ?? String(line));
    this.host = new BusHost({
      socket: this.places.socket,
      uids,
      log: { info: log, warn: log, error: log },
    });
  }

  /** Starts pvx-bus (again). `before`: of a shell script that executes it. */
  async start(before?: string): Promise<void> {
    const log = (line: string | object, text?: string) => void this.log.push(text ?? String(line));
    const keeper = new Keeper(this.spawnProgram(before), { info: log, warn: log }, () => {
      this.lost++;
    });
    this.keeper = keeper;
    await this.host.attach(keeper);
  }

  /** The same, without a keeper: the channel is the caller's. */
  spawnProgram(before?: string): number {
    const argv = this.command;
    const script = ['sh', '-c', `${before}; exec "$@"`, 'sh', ...argv];
    const spawned = spawnBus(before === undefined ? argv : ['unshare', '--mount', ...script]);
    if (!spawned.ok) throw new Error(spawned.why);
    this.process = spawned.value.child;
    return spawned.value.fd;
  }

  get command(): string[] {
    return busCommand(this.places, this.#uids);
  }

  /** Hosts the bus of a revision; resolves when a client can get to it. */
  async hosts(files: Files): Promise<HostedBus> {
    const hosted = await this.host.host(revisionFrom(files));
    if (!hosted) throw new Error('the revision has no use for the bus');
    await this.listens();
    return hosted;
  }

  async listens(): Promise<void> {
    await eventually(() => {
      chmodSync(this.places.folder, 0o711);
      if (!readdirSync(this.places.folder).includes('system_bus_socket'))
        throw new Error('no socket');
    });
  }

  /** Which uid each role has, as pvx-bus keeps it. */
  get uidsFile(): string {
    return join(this.places.store, 'role-uids.json');
  }

  get address(): string {
    return `unix:path=${this.places.socket}`;
  }

  /** Process id of dbus-daemon, the only child of pvx-bus. */
  get daemonPid(): number {
    return childrenOf(this.process.pid as number)[0] ?? 0;
  }

  /** Runs a program as that uid to its end. */
  async as(uid: number, argv: readonly string[]): Promise<Said> {
    const child = this.#spawn(uid, argv);
    let out = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        out += chunk.toString();
      });
    }
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, out };
  }

  /** dbus-send, for the answer. `args` as it takes them. */
  call(uid: number, destination: string, method: string, ...args: string[]): Promise<Said> {
    const target = ['--print-reply=literal', `--dest=${destination}`, '/', method];
    return this.as(uid, ['dbus-send', `--bus=${this.address}`, ...target, ...args]);
  }

  /** Starts a service; resolves with its first line, empty where it ended without one. */
  async serve(uid: number, ...names: string[]): Promise<{ line: string; child: ChildProcess }> {
    const child = this.#spawn(uid, [PYTHON, SERVICE, this.address, ...names]);
    this.#clients.push(child);
    if (!child.stdout) throw new Error('a service has an output');
    const said = once(createInterface(child.stdout), 'line') as Promise<[string]>;
    const [line] = await Promise.race([said, once(child, 'close').then(() => [''] as const)]);
    return { line, child };
  }

  /** Starts a program that answers each line with a line. */
  talk(uid: number, argv: readonly string[]): { ask(): Promise<string>; end(): void } {
    const child = this.#spawn(uid, argv);
    this.#clients.push(child);
    const lines = createInterface(child.stdout as NodeJS.ReadableStream);
    return {
      ask: async () => {
        const answer = once(lines, 'line');
        child.stdin?.write('\n');
        return ((await answer) as [string])[0];
      },
      end: () => child.stdin?.end(),
    };
  }

  /** Ends the services. Whoever asks the bus after that finds none of their names. */
  async reset(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((child) => endBy(child)));
  }

  /** Ends pvx-bus by its channel; the files stay. */
  async stop(): Promise<void> {
    await this.reset();
    if (!this.process || hasEnded(this.process)) return;
    if (this.keeper) this.keeper.close();
    else this.process.kill();
    await endOf(this.process);
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #spawn(uid: number, argv: readonly string[]): ChildProcess {
    const who = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups'];
    return spawn('setpriv', [...who, ...argv], { stdio: 'pipe' });
  }
}
