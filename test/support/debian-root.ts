/**
 * A Debian with little more in it than dpkg and systemd, of the release of this machine. It is made once, by mmdebstrap,
 * and kept in build/; above it is an overlay, so that all that a test writes there can be listed, and is gone with it.
 *
 * Node.js of the version that the package wants is no package of Debian: this machine's own is installed there.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../../src/relay/native.js';
import type { Image } from './engines/image.js';
import { Peer } from './peer-process.js';
import { childNamed, endBy, endOf, hasEnded } from './processes.js';
import { eventually } from './wait.js';

const execute = promisify(execFile);
const BASE = join(PACKAGE_ROOT, 'build/debian-root');
const PACKAGES = 'systemd,systemd-sysv,dbus,libstdc++6,socat';
/** Mounts it at $1/root, in a mount namespace of its own, and stays until it is told to end. $2: what is below. */
const MOUNT = `
mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/work" "$1/root" "$1/cgroup" "$1/share" &&
mount -t overlay none -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root" &&
for name in proc dev sys tmp; do mount --rbind "/$name" "$1/root/$name" || exit 1; done &&
mount -t tmpfs none "$1/root/run" && echo mounted && exec sleep infinity
`;
/**
 * systemd as the first process of namespaces of its own, with cgroups version 2. What is the whole machine's, it can't
 * write: it would set it as Debian has it. Of this machine's folders it has $1/share alone, at /srv.
 */
const BOOT = `
set -e
mount -t cgroup2 none "$1/cgroup"
mkdir -p "$1/cgroup/$2"
echo $$ >"$1/cgroup/$2/cgroup.procs"
exec unshare --cgroup --mount --pid --fork --kill-child --uts --ipc sh -c '
set -e
cd "$1/root"
for name in proc dev sys tmp run; do umount --lazy --recursive "$name"; done
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
for name in run tmp; do mount -t tmpfs -o mode=1777 none "$name"; done
mount -t tmpfs -o mode=755 none dev
mkdir dev/pts dev/shm
for name in null zero full random urandom tty; do touch "dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount --bind "$1/share" srv
pivot_root . mnt
umount -l /mnt
exec env -i container=pvx PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=no
' sh "$1"
`;
/** What dpkg and systemd keep, and caches that others make of what dpkg installed. */
const BOOKKEEPING =
  /^(var\/(lib\/(dpkg|systemd|dbus)|log|cache)|etc\/(ld\.so\.cache|machine-id|\.pwd\.lock|systemd)|(root|dev|proc|sys|tmp|run|srv)($|\/))/;

function makeBase(): void {
  if (existsSync(BASE)) return;
  const [, release = ''] =
    /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8')) ?? [];
  const made = mkdtempSync(`${BASE}-`);
  const flags = ['--quiet', '--mode=root', '--variant=essential', `--include=${PACKAGES}`];
  execFileSync('mmdebstrap', [...flags, release, made], { stdio: 'pipe' });
  chmodSync(made, 0o755);
  putNode(made);
  renameSync(made, BASE);
}

function putNode(root: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-nodejs-'));
  mkdirSync(join(folder, 'DEBIAN'));
  mkdirSync(join(folder, 'usr/bin'), { recursive: true });
  copyFileSync(process.execPath, join(folder, 'usr/bin/node'));
  const control = `Package: nodejs\nVersion: ${process.versions.node}\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: of this machine\n`;
  writeFileSync(join(folder, 'DEBIAN/control'), control);
  chmodSync(folder, 0o755);
  execFileSync('dpkg-deb', [
    '-Znone',
    '--root-owner-group',
    '--build',
    folder,
    join(root, 'nodejs.deb'),
  ]);
  execFileSync('chroot', [root, 'dpkg', '--install', '/nodejs.deb'], { stdio: 'pipe' });
  for (const one of [folder, join(root, 'nodejs.deb')]) rmSync(one, { recursive: true });
}

export class DebianRoot {
  readonly folder = mkdtempSync(join(tmpdir(), 'pvx-root-'));
  #holder!: ChildProcess;
  #systemd: ChildProcess | null = null;

  /** Makes the base first, where there is none yet. */
  async mount(): Promise<void> {
    makeBase();
    const flags = ['--mount', '--propagation', 'private', 'sh', '-c', MOUNT, 'sh'];
    const holder = spawn('unshare', [...flags, this.folder, BASE], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#holder = holder;
    if ((await new Peer(holder).line()) !== 'mounted') throw new Error('the root was not mounted');
  }

  /** What stands before a command that is to be run in there; once it was booted, beside its systemd. */
  get prefix(): string[] {
    if (!this.#systemd) return [...this.#inside, 'chroot', join(this.folder, 'root')];
    const pid = childNamed(this.#systemd.pid as number, 'systemd');
    return ['nsenter', '--mount', '--pid', '--uts', '--ipc', '--cgroup', '-t', `${pid}`];
  }

  get #inside(): string[] {
    return ['nsenter', '--mount', '-t', `${this.#holder.pid}`];
  }

  /** Resolves with what it said; rejects where it fails. */
  async run(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const [program = '', ...args] = [...this.prefix, ...argv];
    const { stdout } = await execute(program, args, { env: { ...process.env, ...env } });
    return stdout;
  }

  /** Resolves when everything that is to run there has been started. */
  async boot(): Promise<void> {
    const [program = '', ...args] = [...this.#inside, 'sh', '-c', BOOT, 'sh'];
    const name = `pvx-root-${process.pid}`;
    this.#systemd = spawn(program, [...args, this.folder, name], { stdio: 'ignore' });
    await eventually(() => this.run(['systemctl', 'is-active', 'multi-user.target']), {
      timeoutMs: 30_000,
      intervalMs: 100,
    });
  }

  /**
   * Starts a container that systemd runs there: a root and a mount namespace of its own, with the program of the image.
   * Resolves with its pid, as those in there count.
   */
  async container(image: Image, name: string, program: readonly string[]): Promise<number> {
    image.copyTo(join(this.share, name), 0);
    const flags = ['--quiet', '--unit', name, '--property', `RootDirectory=/srv/${name}`];
    await this.run(['systemd-run', ...flags, '/peer', ...program]);
    return Number(await this.run(['systemctl', 'show', name, '--property=MainPID', '--value']));
  }

  /** A folder of this machine's that is at /srv there. */
  get share(): string {
    return `/proc/${this.#holder.pid}/root${this.folder}/share`;
  }

  /** All files that are there and were not there at first. */
  written(): string[] {
    const upper = `/proc/${this.#holder.pid}/root${this.folder}/upper`;
    const names = readdirSync(upper, { recursive: true, withFileTypes: true })
      // A file that overlayfs has hidden is a character device: what purging removed of the base.
      .filter((entry) => !entry.isDirectory() && !entry.isCharacterDevice())
      .map((entry) => join(entry.parentPath, entry.name).slice(upper.length + 1));
    return names.filter((name) => !BOOKKEEPING.test(name)).sort();
  }

  async unmount(): Promise<void> {
    if (this.#systemd && !hasEnded(this.#systemd)) {
      const ended = endOf(this.#systemd);
      process.kill(childNamed(this.#systemd.pid as number, 'systemd'), 'SIGKILL');
      await ended;
      const tidy = `find ${this.folder}/cgroup/pvx-root-${process.pid} -depth -type d -exec rmdir {} +`;
      execFileSync('nsenter', [...this.#inside.slice(1), 'sh', '-c', tidy]);
    }
    await endBy(this.#holder);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
