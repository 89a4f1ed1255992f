/**
 * Runs containers with liblxc's own commands, on the configuration of each, augmented before each start.
 *
 *   this process → setpriv, unshare, sh (enter.sh), then lxc-start in its place → first process of the container
 *
 * The root is an overlay over a squashfs, mounted in a mount namespace that only lxc-start and the container are in.
 * Each process dies with the one before it, and the last one takes mounts and loop devices along, so that nothing has to
 * be cleared after SIGKILL but empty cgroups, which the next start of that container removes. `lxc-ls`, `lxc-info` and
 * `lxc-attach` work with `-P STORAGE/lxc`.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants as system } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { ok, type WhyResult } from '../../../kernel/result.js';
import { MAX_MANIFEST } from '../../../manifest/limits.js';
import { PACKAGE_ROOT } from '../../../relay/native.js';
import { type Child, exitOf, isInstalled, signalTo, spawnChild } from '../../child-process.js';
import type { Launched } from '../../supervisor.js';
import type { Engine, EngineContainer, EngineParts } from '../engine.js';
import { isUnified, removeCgroups } from './cgroups.js';
import {
  type Configuration,
  readConfiguration,
  stopSignal,
  writeConfiguration,
} from './configuration.js';
import { Inside } from './inside.js';
import { endIn, faultIn, hasStarted, pidIn, readIfThere } from './lxc-log.js';
import { formatMountEntry, type MountEntry } from './mount-entry.js';
import { removeDrafts, unpackSquashfs } from './unpack.js';
import { makePrivate, type Volume, Volumes } from './volumes.js';

export interface LxcOptions {
  /** Folder of the host; an absolute path. */
  readonly storage: string;
  /** Folders of the host that containers may mount. */
  readonly allowed: readonly string[];
  /** Roots are unpacked also where they could be mounted. */
  readonly unpack: boolean;
  /** Told what takes its time, one line each. */
  readonly say: (line: string) => void;
}

const TOOLS = ['lxc-start', 'lxc-info', 'lxc-stop'];
const ENTER_SCRIPT = `${PACKAGE_ROOT}/src/runtime/engines/lxc/enter.sh`;
/** How long it may take until a container runs, without the unpacking of its root. */
const START_MS = 30_000;
const POLL_MS = 40;
/** Whoever ends it by force waits this long for lxc-stop. */
const STOP_MS = 5_000;
const SQUASHFS_MAGIC = 'hsqs';
/** Names of containers that lxc and mount(8) take without any quoting. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
/** What would have to be quoted in `lowerdir=`. */
const UNQUOTABLE = /[:,\\\s]/;

const run = promisify(execFile);

/** What is there of a container before it starts. */
interface Mounted {
  readonly home: string;
  readonly configuration: Configuration | null;
  readonly volumes: readonly Volume[];
  /** Arguments of enter.sh up to "--". */
  readonly layout: readonly string[];
  /** Folders where the images of its volumes are mounted, by name. */
  readonly images: ReadonlyMap<string, string>;
}

export class LxcEngine implements Engine {
  readonly #parts: EngineParts;
  readonly #options: LxcOptions;
  readonly #home: string;
  readonly #volumes: Volumes;
  readonly #enterScript: string;
  readonly #roots: string;
  /** By the folder that it is made in. */
  readonly #unpacking = new Map<string, Promise<WhyResult<undefined>>>();
  #unpacks: boolean;

  constructor(parts: EngineParts, options: LxcOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#home = join(options.storage, 'lxc');
    this.#roots = join(options.storage, 'roots');
    this.#unpacks = options.unpack;
    this.#enterScript = readFileSync(ENTER_SCRIPT, 'utf8');
    rmSync(this.#home, { recursive: true, force: true }); // of a process that was killed; nothing is mounted in it
    for (const folder of [this.#home, this.#roots]) makePrivate(folder);
    removeDrafts(this.#roots);
    this.#volumes = new Volumes(options.storage);
  }

  async mount(container: EngineContainer): Promise<WhyResult<undefined>> {
    try {
      const entered = await this.#enter(container, []);
      if (!entered.ok) return entered;
      const { child, exited } = entered.value;
      child.stdout?.resume();
      child.stdin?.end();
      await exited;
      return ok(undefined);
    } catch (error) {
      return { ok: false, why: (error as Error).message };
    }
  }

  async unmount({ settings }: EngineContainer): Promise<void> {
    rmSync(join(this.#home, settings.name), { recursive: true, force: true });
    removeCgroups(settings.name);
  }

  async start(container: EngineContainer, onOutput: (output: Readable) => void): Promise<Launched> {
    const fault = await this.#parts.pools.provide(container.leases);
    if (fault !== null) return { ok: false, why: fault };
    try {
      return await this.#start(container, onOutput);
    } catch (error) {
      return { ok: false, why: (error as Error).message };
    }
  }

  async #start(
    container: EngineContainer,
    onOutput: (output: Readable) => void,
  ): Promise<Launched> {
    const { name } = container.settings;
    removeCgroups(name);
    const log = join(this.#home, name, 'lxc.log');
    rmSync(log, { force: true });
    const program = ['lxc-start', '-F', '-P', this.#home, '-n', name, '-o', log, '-l', 'INFO'];
    const entered = await this.#enter(container, program);
    if (!entered.ok) return entered;
    const { child, exited, mounted } = entered.value;
    const { configuration } = mounted;
    const text: WhyResult<string> = configuration
      ? this.#augment(container, configuration, mounted, child.pid)
      : { ok: false, why: 'it has no configuration' };
    if (!configuration || !text.ok) {
      child.kill('SIGKILL');
      child.stdout?.resume();
      await exited;
      return text as Launched;
    }
    writeFileSync(join(mounted.home, 'config'), text.value, { mode: 0o640 });
    const [input, output] = child.stdio as unknown as [Writable, Readable];
    onOutput(output);
    input.end('\n');
    const pid = await this.#pidOf(log, child.pid, exited);
    if (pid === null) {
      child.kill('SIGKILL');
      await exited;
      return { ok: false, why: `${faultIn(log)}; its console.log and ${log} may say more` };
    }
    const signal = stopSignal(configuration, system.signals);
    return ok({
      pid,
      exited: exited.then((how) => endIn(log) ?? how),
      ask: () => signalTo(child, pid, signal),
      kill: () => this.#kill(name, child),
    });
  }

  /** Runs enter.sh up to where the root is there. The child is whose input decides what follows. */
  async #enter(container: EngineContainer, program: readonly string[]) {
    const mounted = await this.#layOut(container);
    if (!mounted.ok) return mounted;
    const first = await this.#spawn(mounted.value, program);
    if (first.ok || this.#unpacks || !isAboutLoops(first.why)) return first;
    this.#unpacks = true; // there are no loop devices, or no squashfs: the next root is unpacked at once
    this.#options.say(`Roots are unpacked, as they can't be mounted here: ${first.why}.`);
    const again = await this.#layOut(container);
    return again.ok ? this.#spawn(again.value, program) : again;
  }

  async #spawn(mounted: Mounted, program: readonly string[]) {
    const { home, layout } = mounted;
    const complaints = join(home, 'complaints');
    const argv = ['-c', this.#enterScript, 'enter.sh', complaints, ...layout, '--', ...program];
    const space = ['unshare', '--mount', '--propagation', 'private', 'sh'];
    const spawned = await spawnChild('setpriv', ['--pdeathsig', 'KILL', ...space, ...argv], {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH ?? '', LC_ALL: 'C.UTF-8' },
      detached: true, // Ctrl-C in a terminal is for this process, which stops containers in order
    });
    if (!spawned.ok) return spawned;
    const child = spawned.value;
    const [input, , errors, report] = child.stdio as unknown as [
      Writable,
      Readable,
      Readable,
      Readable,
    ];
    input.on('error', () => undefined);
    let said = '';
    errors.on('data', (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(0, 1024);
    });
    const exited = exitOf(child, 'close');
    const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
    const isReady = await Promise.race([
      once(report, 'data').then(() => true),
      exited.then(() => false),
    ]);
    clearTimeout(timer);
    report.resume();
    if (isReady) return ok({ child, exited, mounted });
    const complaint = firstLine(readIfThere(complaints)) || firstLine(said) || (await exited);
    return { ok: false as const, why: `its root can't be mounted (${complaint})` };
  }

  /** Folders, files and layers; nothing is mounted by it. */
  async #layOut(container: EngineContainer): Promise<WhyResult<Mounted>> {
    const { settings, files } = container;
    const { name, root = '' } = settings;
    if (!NAME.test(name)) {
      return {
        ok: false,
        why: 'lxc takes names of at most 64 letters, digits, dashes and dots alone',
      };
    }
    if (UNQUOTABLE.test(this.#options.storage)) {
      return {
        ok: false,
        why: `the storage ${this.#options.storage} has a character that mount(8) takes for its own`,
      };
    }
    const missing = TOOLS.filter((tool) => !isInstalled(tool));
    if (missing.length > 0)
      return { ok: false, why: `${missing.join(', ')} not found: install lxc` };
    const home = join(this.#home, name);
    mkdirSync(join(home, 'rootfs'), { recursive: true });
    const configuration = this.#configurationOf(container);
    if (!configuration.ok) return configuration;
    const volumes = this.#volumes.make(settings, files.revision ?? '0');
    const images = new Map<string, string>();
    const mounts: string[] = [];
    for (const image of new Set([root, ...settings.volumes])) {
      const path = files.objects?.[image];
      if (path === undefined) return { ok: false, why: `the revision has no ${image}` };
      const folder = await this.#imageFolder(path, join(home, 'images', image), image);
      if (!folder.ok) return folder;
      images.set(image, folder.value);
      if (!this.#unpacks) mounts.push(path, folder.value);
    }
    const config = layConfig(join(home, 'config.d'), files.config ?? {});
    if (!config.ok) return config;
    const overlay = volumes[0].folder;
    const [upper, work] = [join(overlay, 'upper'), join(overlay, 'work')];
    for (const folder of [upper, work]) mkdirSync(folder, { recursive: true });
    const lower = [...(config.value ? [config.value] : []), images.get(root)].join(':');
    const layout = [join(home, 'rootfs'), lower, upper, work, ...mounts];
    return ok({ home, configuration: configuration.value, volumes, layout, images });
  }

  /** Null: it has none, and is only mounted. */
  #configurationOf({ settings, files }: EngineContainer): WhyResult<Configuration | null> {
    if (settings.config === undefined) return ok(null);
    const path = files.objects?.[settings.config];
    if (path === undefined) return { ok: false, why: `the revision has no ${settings.config}` };
    if (statSync(path).size > MAX_MANIFEST) {
      return { ok: false, why: `${settings.config} has more than ${MAX_MANIFEST} bytes` };
    }
    const read = readConfiguration(readFileSync(path, 'utf8'), this.#options.allowed);
    const [fault] = read.faults;
    if (!fault) return ok(read);
    const { expected, found, line } = fault;
    return {
      ok: false,
      why: `line ${line} of ${settings.config} is refused: found ${found}, expected ${expected}`,
    };
  }

  /** Where the content of a squashfs is: it will be mounted there, or is there already. */
  async #imageFolder(path: string, point: string, image: string): Promise<WhyResult<string>> {
    if (!isSquashfs(path)) return { ok: false, why: `${image} is no squashfs` };
    if (!this.#unpacks) {
      mkdirSync(point, { recursive: true });
      return ok(point);
    }
    const folder = join(this.#roots, basename(path));
    if (existsSync(folder)) return ok(folder);
    if (!isInstalled('unsquashfs')) {
      return { ok: false, why: 'unsquashfs not found: install squashfs-tools' };
    }
    // Containers with the same root wait for the same unpacking.
    const unpacking = this.#unpacking.get(folder) ?? this.#unpack(path, folder, image);
    this.#unpacking.set(folder, unpacking);
    const unpacked = await unpacking;
    this.#unpacking.delete(folder);
    if (unpacked.ok) return ok(folder);
    return { ok: false, why: `${image} can't be unpacked (${unpacked.why})` };
  }

  #unpack(path: string, folder: string, image: string): Promise<WhyResult<undefined>> {
    this.#options.say(`${image} is unpacked, ${statSync(path).size} bytes ...`);
    return unpackSquashfs(path, folder);
  }

  /** The text for lxc-start, once the root is mounted in the namespace of that process, which is in its root. */
  #augment(
    { settings, leases, files }: EngineContainer,
    configuration: Configuration,
    { home, images, volumes }: Mounted,
    pid: number,
  ): WhyResult<string> {
    const inside = new Inside(`/proc/${pid}/cwd`);
    const isOff = configuration.kept.some(
      ({ key, value }) => key === 'lxc.autodev' && value === '0',
    );
    if (!isOff) inside.cover('dev', { kind: 'fresh' });
    for (const name of ['proc', 'sys']) inside.cover(name, { kind: 'foreign' });
    const lines: string[] = [];
    for (const entry of [...ownEntries(settings.name, volumes), ...configuration.mounts]) {
      const source = this.#sourceOf(entry, settings.name, images);
      if (!source.ok) {
        if (entry.optional) continue;
        return source;
      }
      if (source.value === null) continue;
      const line = place(inside, entry, source.value);
      if (!line.ok) return line;
      lines.push(line.value);
    }
    const bound = ['bind', 'ro'];
    const { pantavisor, inPantavisor = {} } = files;
    const views: Readonly<Record<string, string>> =
      pantavisor === undefined ? {} : { '': pantavisor, ...inPantavisor };
    for (const [name, folder] of Object.entries(views)) {
      const target = name === '' ? 'pantavisor' : `pantavisor/${name}`;
      const entry = { kind: 'host', source: folder, target, type: 'none', options: bound } as const;
      const line = place(inside, { ...entry, optional: false, create: 'dir' }, folder);
      if (!line.ok) return line;
      lines.push(line.value);
    }
    return ok(
      writeConfiguration(configuration, {
        rootfs: join(home, 'rootfs'),
        hostname: settings.hostname,
        leases,
        ownNetwork: settings.ownNetwork,
        mounts: lines,
        unified: isUnified(),
      }),
    );
  }

  /** Null: there is no such thing on this host, and a container does without. */
  #sourceOf(
    { kind, source }: MountEntry,
    container: string,
    images: ReadonlyMap<string, string>,
  ): WhyResult<string | null> {
    if (kind === 'kernel') return ok(source);
    if (kind === 'host')
      return ok(source.startsWith('/etc/') && !existsSync(source) ? null : source);
    const [owner = '', volume = '', ...rest] = source.split('/');
    const image = owner === container ? images.get(volume) : undefined;
    const folder = image ?? this.#volumes.folder(owner, volume);
    if (folder === undefined) {
      const why = `there is no volume ${volume} of ${owner}: give it in "storage", and start ${owner} before`;
      return { ok: false, why };
    }
    if (rest.length === 0) return ok(folder);
    const found = new Inside(folder).find(rest.join('/'), 'dir');
    return found.ok ? ok(join(folder, found.value.path)) : found;
  }

  /**
   * Once it runs, and thus is in its own root. `monitor`, which has ended: it has run, and nobody can know its pid any
   * more. Null: it never did.
   */
  async #pidOf(log: string, monitor: number, exited: Promise<string>): Promise<number | null> {
    let isOver = false;
    void exited.then(() => {
      isOver = true;
    });
    const until = performance.now() + START_MS;
    while (performance.now() < until) {
      const pid = pidIn(log, monitor);
      if (pid !== null) return pid;
      if (isOver) return hasStarted(log) ? monitor : null;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return null;
  }

  #kill(name: string, child: Child): void {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    void run('lxc-stop', ['-k', '-P', this.#home, '-n', name], { timeout: STOP_MS }).catch(() =>
      child.kill('SIGKILL'),
    );
    child.once('exit', () => clearTimeout(timer));
  }
}

/** Entries for volumes that have a path of their own. */
function ownEntries(container: string, volumes: readonly Volume[]): MountEntry[] {
  return volumes.flatMap(({ name, target }): MountEntry[] => {
    if (target === undefined) return [];
    const source = `${container}/${name}`;
    const rest = { type: 'none', options: ['bind', 'rw'], create: 'dir', optional: false } as const;
    return [{ kind: 'volume', source, target: target.slice(1), ...rest }];
  });
}

/** The line for lxc; its target is made here, where lxc might follow a symbolic link out of the root. */
function place(inside: Inside, entry: MountEntry, source: string): WhyResult<string> {
  const isFile = entry.kind === 'host' && isRegular(source);
  const create = entry.create === undefined ? undefined : isFile ? 'file' : entry.create;
  const found = inside.find(entry.target, create);
  if (!found.ok) return found;
  const { isLater, path } = found.value;
  if (path === '') return { ok: false, why: `the mount target ${entry.target} is the root itself` };
  inside.cover(
    path,
    entry.kind === 'kernel'
      ? { kind: 'fresh' }
      : entry.kind === 'volume'
        ? { kind: 'folder', path: source }
        : { kind: 'foreign' },
  );
  const { create: _, ...rest } = entry;
  const line = isLater && create ? { ...rest, create } : rest;
  return ok(formatMountEntry(line, source, path));
}

/** The files of `_config`, as the uppermost of the lower layers. Undefined: there are none. */
function layConfig(
  folder: string,
  files: Readonly<Record<string, { readonly path: string } | { readonly text: string }>>,
): WhyResult<string | undefined> {
  rmSync(folder, { recursive: true, force: true });
  if (Object.keys(files).length === 0) return ok(undefined);
  mkdirSync(folder, { recursive: true });
  const inside = new Inside(folder);
  for (const [path, content] of Object.entries(files)) {
    const found = inside.find(path, 'file');
    if (!found.ok) return found;
    const at = join(folder, found.value.path);
    if ('text' in content) writeFileSync(at, content.text);
    else copyFileSync(content.path, at, constants.COPYFILE_FICLONE); // of any size
  }
  return ok(folder);
}

function isSquashfs(path: string): boolean {
  let fd: number | null = null;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    const head = Buffer.alloc(SQUASHFS_MAGIC.length);
    readSync(fd, head, 0, head.length, 0);
    return head.toString('latin1') === SQUASHFS_MAGIC;
  } catch {
    return false;
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

function isRegular(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isAboutLoops(complaint: string): boolean {
  return /loop|unknown filesystem type/i.test(complaint);
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0]?.replace(/\.$/, '') ?? '';
}
