/**
 * The Debian package: installed, upgraded under a connection that goes on, removed and purged by the real dpkg.
 *
 * Its root is that of this machine with an overlay above it, so that all dpkg does and leaves is what is in the upper
 * folder; a root of debootstrap's would take the suite two minutes more, and show less.
 */
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { ContainerPair } from '../../support/container-pair.js';
import { request, TestDaemon } from '../../support/daemon.js';
import { Peer } from '../../support/peer-process.js';
import { endBy } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';

const execute = promisify(execFile);
const UNIT = join(PACKAGE_ROOT, 'packaging/debian/pv-xconnect.service');
/** Mounts the root $1, over the machine's, in a mount namespace of its own, and stays until it is told to end. */
const MOUNT = `
mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/work" "$1/root" &&
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root" &&
for name in proc dev sys tmp; do mount --rbind "/$name" "$1/root/$name" || exit 1; done &&
mount -t tmpfs none "$1/root/run" && echo mounted && exec sleep infinity
`;
/** What dpkg itself keeps, and caches that others make of what it installed. */
const BOOKKEEPING =
  /^(var\/(lib\/dpkg|log|cache)|etc\/ld\.so\.cache|(root|dev|proc|sys|tmp|run)($|\/))/;

/** This machine's root, in which what is written is gone with it. */
class Root {
  readonly folder = mkdtempSync(join(tmpdir(), 'pvx-root-'));
  #holder!: ChildProcess;

  async mount(): Promise<void> {
    const argv = ['--mount', '--propagation', 'private', 'sh', '-c', MOUNT, 'sh', this.folder];
    this.#holder = spawn('unshare', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    expect(await new Peer(this.#holder).line()).toBe('mounted');
  }

  /** What stands before a command that is to be run in there. */
  get prefix(): string[] {
    return ['nsenter', '--mount', '-t', `${this.#holder.pid}`, 'chroot', join(this.folder, 'root')];
  }

  /** Resolves with what it said; rejects where it fails. Meanwhile the test's own runtime has to answer. */
  async run(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const [program = '', ...args] = [...this.prefix, ...argv];
    const { stdout } = await execute(program, args, { env: { ...process.env, ...env } });
    return stdout;
  }

  /** All files that are there and are not those of the machine. */
  written(): string[] {
    const upper = `/proc/${this.#holder.pid}/root${this.folder}/upper`;
    const names = readdirSync(upper, { recursive: true, withFileTypes: true })
      // A file that overlayfs has hidden is a character device: what purging removed of the machine's.
      .filter((entry) => !entry.isDirectory() && !entry.isCharacterDevice())
      .map((entry) => join(entry.parentPath, entry.name).slice(upper.length + 1));
    return names.filter((name) => !BOOKKEEPING.test(name)).sort();
  }

  async unmount(): Promise<void> {
    await endBy(this.#holder);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const folder = mkdtempSync(join(tmpdir(), 'pvx-debian-'));
afterAll(() => rmSync(folder, { recursive: true }));

function make(version: string, arch = 'amd64'): string {
  const argv = ['scripts/package.mjs', '--version', version, '--arch', arch, '--out', folder];
  execFileSync(process.execPath, argv, { cwd: PACKAGE_ROOT, stdio: 'pipe' });
  return join(folder, `pv-xconnect_${version}_${arch}.deb`);
}

const isDebian = isRoot() && has('dpkg-deb') && process.arch === 'x64';

describe.runIf(isDebian)('the Debian package', () => {
  const root = new Root();
  const packages: string[] = [];
  beforeAll(async () => {
    packages.push(make('0.9.1'), make('0.9.2'));
    await root.mount();
    await root.run(['dpkg', '--install', packages[0] as string]);
  }, 240_000);
  afterAll(() => root.unmount());

  test('installs programs, pages, completions and the unit', async () => {
    expect(await root.run(['pv-xconnect', '--version'])).toBe('0.9.1\n');
    expect(await root.run(['pv-appengine', '--version'])).toBe('0.9.1\n');
    const names = root.written();
    for (const name of readdirSync(join(PACKAGE_ROOT, 'bin'))) {
      expect(names).toContain(`usr/bin/${name}`);
      expect(names).toContain(`usr/share/man/man8/${name}.8.gz`);
      expect(names).toContain(`usr/share/bash-completion/completions/${name}`);
    }
    expect(names).toContain('etc/default/pv-xconnect');
    expect(names).toContain('usr/lib/pv-xconnect/dist/web/page/index.html');
    expect(names).toContain('usr/lib/pv-xconnect/dist/bundle/daemon.cjs.cache');
  });

  test('completes commands and options', async () => {
    const complete = async (...words: string[]) => {
      const script = `. /usr/share/bash-completion/completions/pv-xconnect
        COMP_WORDS=(pv-xconnect ${words.join(' ')}); COMP_CWORD=${words.length}
        _pv_xconnect; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return (await root.run(['bash', '-c', script])).trim().split('\n');
    };
    expect(await complete('exp')).toEqual(['explain']);
    expect(await complete('explain', '--fr')).toEqual(['--from']);
  });

  test('replaces a daemon that runs, and drops nothing; purged, it leaves nothing', async () => {
    const pair = new (class extends ContainerPair {
      protected override makeDaemon(): TestDaemon {
        return new TestDaemon([], { prefix: root.prefix, program: '/usr/bin/pv-xconnect' });
      }
    })({ link: { name: 'echo', target: '/run/echo.sock', socket: '/run/its.sock' } });
    await pair.setUp();
    try {
      pair.run(pair.provider, ['socat', 'UNIX-LISTEN:/run/its.sock,fork', 'PIPE']);
      await pair.establish();
      const client = () => pair.talk(pair.consumer, ['socat', '-', 'UNIX-CONNECT:/run/echo.sock']);
      const says = async (peer: Peer, text: string) => {
        peer.say(`${text}\n`);
        expect(await peer.line()).toBe(text);
      };
      const open = client();
      await says(open, 'before');
      const { control, pid } = pair.daemon;
      const environment = { PV_XCONNECT_CONTROL: control };
      const said = await root.run(['dpkg', '--install', packages[1] as string], environment);
      expect(said).toContain('upgraded from 0.9.1 to 0.9.2');
      expect(await request(control, '/version')).toMatchObject({ version: '0.9.2' });
      expect(pair.daemon.pid).toBe(pid);
      await says(open, 'after');
      await says(client(), 'anew');
    } finally {
      await pair.tearDown();
    }
    await root.run(['dpkg', '--remove', 'pv-xconnect']);
    expect(root.written()).toEqual(['etc/default/pv-xconnect']);
    await root.run(['dpkg', '--purge', 'pv-xconnect']);
    expect(root.written()).toEqual([]);
  });
});

/** By the name of the architecture: what runs its programs here, and where Debian has its libraries. */
const FOREIGN = [
  ['arm64', 'aarch64-linux-gnu', 'qemu-aarch64-static'],
  ['armhf', 'arm-linux-gnueabihf', 'qemu-arm-static'],
] as const;

describe.each(FOREIGN)('the package for %s', (arch, triplet, qemu) => {
  // Node.js of that architecture can't be had here, so an echo is in its place.
  test.runIf(isDebian && has(`${triplet}-gcc`) && has(qemu))(
    'has programs that run there',
    () => {
      const at = join(folder, arch);
      execFileSync('dpkg-deb', ['--extract', make('0.9.1', arch), at]);
      const home = join(at, 'usr/lib/pv-xconnect');
      const run = (name: string, ...args: string[]) =>
        spawnSync(qemu, ['-L', `/usr/${triplet}`, join(home, 'build/Release', name), ...args], {
          ...{ encoding: 'utf8', timeout: 20_000 },
          env: { ...process.env, PV_XCONNECT_NODE: '/bin/echo' },
        });
      expect(run('pv-xconnect', 'graph').stdout).toBe(`${home}/dist/main.js graph\n`);
      expect(run('pvx-relay').stderr).toContain('pv-xconnect starts this program');
      const { stdout } = spawnSync('readelf', ['-h', join(home, 'build/Release/pvx.node')], {
        encoding: 'utf8',
      });
      expect(stdout).toMatch(/Machine: +(AArch64|ARM)\n/);
    },
    180_000,
  );
});

test.runIf(has('systemd-analyze'))('the unit gives nobody more than it needs', () => {
  const { stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', UNIT], {
    encoding: 'utf8',
  });
  const [, level] = /exposure level for pv-xconnect.service: ([\d.]+)/.exec(stdout) ?? [];
  // Most of the rest are mounts of its own, which would hide the host from the broker, and capabilities that it needs.
  expect(Number(level)).toBeLessThanOrEqual(5.9);
});
