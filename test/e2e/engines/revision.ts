/**
 * A revision that pv-appengine runs for a test, on either engine: the same containers, with the same manifests and the
 * same files at /app. On `namespace` they are over the host's own files. On `lxc` they are a pvrexport, packed here:
 * each root is a small squashfs with what a distribution has in /etc, and the host's programs mounted read-only.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { pack } from '../../../src/runtime/pack/pack.js';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import type { ExecResult } from '../../support/container.js';
import { withDrivers } from '../../support/device-host.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { requires, services } from '../../unit/manifest/scratch.js';

export const ENGINES = ['namespace', 'lxc'] as const;
export type EngineName = (typeof ENGINES)[number];

export interface RevisionContainer {
  /** Absent: that of the revision. */
  readonly engine?: EngineName;
  /** What its run.json has beside what all have. */
  readonly run?: object;
  /** Entries of its services.json. */
  readonly services?: readonly object[];
  /** What its run.json requires. */
  readonly required?: readonly object[];
  /** Absent: it does nothing. */
  readonly exec?: readonly string[];
  /** In its folder /app, by name. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
}

export type Containers = Readonly<Record<string, RevisionContainer>>;

/** The first process: it ends at once when it is asked to, whatever the program does about signals. */
const INIT = 'trap "exit 0" TERM\n"$@" &\nwait $!\n';
export const PVENTER = join(PACKAGE_ROOT, 'bin/pventer');
const IDLE = ['sleep', 'infinity'];
const MODULES = join(PACKAGE_ROOT, 'node_modules');
/** Folders with the programs of the host. */
const PROGRAMS = [
  '/usr',
  ...[dirname(process.execPath)].filter((path) => !path.startsWith('/usr/')),
];
/** What programs of the host look for there. */
const ETC = ['passwd', 'group', 'nsswitch.conf', 'fonts', 'alternatives'];
const PATH = `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`;
const MOUNTS = [
  ...PROGRAMS.map(
    (path) => `lxc.mount.entry = ${path} ${path.slice(1)} none rbind,ro,create=dir 0 0`,
  ),
  `lxc.mount.entry = ${MODULES} node_modules none rbind,ro,create=dir 0 0`,
  'lxc.mount.entry = tmpfs tmp tmpfs rw,mode=1777,create=dir 0 0',
];

/** What a container of examples/ is, for the same program on either engine. */
export function example(name: string, container: string): RevisionContainer {
  const folder = join(PACKAGE_ROOT, 'examples', name, container);
  const manifest = (file: string) => {
    const path = join(folder, file);
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  };
  const { exec, services: required } = manifest('run.json');
  const { services: provided } = manifest('services.json');
  const root = join(folder, 'root');
  const names = existsSync(root) ? readdirSync(root) : [];
  const files = Object.fromEntries(names.map((file) => [file, readFileSync(join(root, file))]));
  return { exec, files, services: provided, required: required?.required };
}

/** Whether this machine can run containers of that engine. */
export function hasEngine(engine: EngineName): boolean {
  const lxc = ['lxc-start', 'mksquashfs'];
  return isRoot() && ['setpriv', 'unshare', ...(engine === 'lxc' ? lxc : [])].every(has);
}

/** pventer with these arguments, to its end. */
export const pventer = (...args: string[]) => runScript(PVENTER, ...args);

export function runScript(...argv: string[]): Promise<ExecResult> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, argv, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 255) : 0, stdout, stderr });
    });
    child.stdin?.end();
  });
}

export interface RevisionOptions {
  /** Whose device.json it has; none. */
  readonly device?: object;
  /** The command that runs pv-appengine. */
  readonly prefix?: readonly string[];
}

export class RunningRevision {
  readonly runtime = new AppEngineProcess();
  readonly #engine: EngineName;
  readonly #containers: () => Containers;
  readonly #options: RevisionOptions;

  /** `containers`: asked when it starts. */
  constructor(engine: EngineName, containers: () => Containers, options: RevisionOptions = {}) {
    this.#engine = engine;
    this.#containers = containers;
    this.#options = options;
  }

  async start(): Promise<void> {
    const { device, prefix = withDrivers() } = this.#options;
    const engines = Object.entries(this.#containers()).map(([name, container]) =>
      this.#write(name, container),
    );
    if (device) this.runtime.write({ 'device.json': device });
    const revisions = device || engines.includes('namespace') ? [this.runtime.revision] : [];
    if (engines.includes('lxc')) revisions.push(await this.#pack());
    const allowed = [...PROGRAMS, MODULES].flatMap((path) => ['--allow-mount', path]);
    await this.runtime.startWith([...revisions, ...allowed], prefix);
  }

  /** Where the containers are that are to be packed. */
  get #unpacked(): string {
    return join(this.runtime.folder, 'unpacked');
  }

  async #pack(): Promise<string> {
    const output = join(this.runtime.folder, 'all.pvrexport.tar');
    const squash = ['-noI', '-noD', '-noF', '-noX'];
    const made = await pack(this.#unpacked, { output, gzip: false, squash });
    if (!made.ok) throw new Error(made.why);
    return output;
  }

  /** Waits until all links of a container are established. */
  async linked(consumer: string): Promise<void> {
    await eventually(
      async () => {
        const { body } = await this.runtime.get('/xconnect-graph');
        const links = body.filter((link: { consumer: string }) => link.consumer === consumer);
        if (
          links.length > 0 &&
          links.every(({ state }: { state: string }) => state === 'established')
        )
          return;
        throw new Error(`${JSON.stringify(links)} ${this.runtime.said}`);
      },
      { timeoutMs: 20_000, intervalMs: 50 },
    );
  }

  /** Runs a program in a container to its end, as its users do. */
  run(container: string, ...argv: string[]): Promise<ExecResult> {
    return this.pventer('-c', container, ...argv);
  }

  pventer(...args: string[]): Promise<ExecResult> {
    return pventer('-s', this.runtime.pvCtrl, ...args);
  }

  /** The same; what it wrote to standard output. Rejects where it fails. */
  async ask(container: string, ...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(container, ...argv);
    if (code !== 0) throw new Error(`${argv.join(' ')}: exit code ${code}: ${stdout}${stderr}`);
    return stdout.trim();
  }

  async restart(container: string): Promise<void> {
    const path = `/containers/${container}`;
    const { status } = await this.runtime.ask('PUT', path, { action: 'restart' });
    expect(status).toBe(200);
  }

  #write(name: string, container: RevisionContainer): EngineName {
    const { engine = this.#engine, exec = IDLE, files = {}, run = {} } = container;
    const { required = [], services: provided = [] } = container;
    const isLxc = engine === 'lxc';
    const folder = isLxc ? this.#unpacked : this.runtime.revision;
    const app = isLxc ? `${name}/root/app` : `${name}/root`;
    this.runtime.write(
      {
        [`${name}/run.json`]: {
          ...requires(...required),
          group: 'app',
          network: { mode: 'none' },
          exec: ['sh', '/app/init', ...exec],
          ...run,
        },
        ...(provided.length > 0 ? { [`${name}/services.json`]: services(...provided) } : {}),
        [`${app}/init`]: INIT,
        ...Object.fromEntries(
          Object.entries(files).map(([file, what]) => [`${app}/${file}`, what]),
        ),
        ...(isLxc ? { [`${name}/args.json`]: ARGS } : {}),
      },
      folder,
    );
    if (isLxc) makeRoot(join(folder, name, 'root'));
    return engine;
  }
}

const ARGS = {
  PV_LXC_EXTRA_CONF: MOUNTS.join('\n'),
  PV_LXC_EXTRA_ENV: [`PATH=${PATH}`, 'LANG=C.UTF-8'],
};

function makeRoot(root: string): void {
  for (const name of ['dev', 'etc', 'proc', 'run', 'sys', 'tmp', 'usr', 'var']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  for (const name of ['bin', 'lib', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(root, name));
  symlinkSync('/run', join(root, 'var/run'));
  for (const name of ETC) {
    const from = join('/etc', name);
    if (existsSync(from)) cpSync(from, join(root, 'etc', name), { recursive: true });
  }
}

/** Call it within `describe`: it runs before the first test, and nothing of it is left after the last. */
export function useRevision(engine: EngineName, containers: () => Containers): RunningRevision {
  const revision = new RunningRevision(engine, containers);
  beforeAll(() => revision.start(), 60_000);
  afterAll(() => revision.runtime.remove());
  return revision;
}
