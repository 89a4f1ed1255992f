/**
 * Each way onto a machine that docs/install.md has, walked on a fresh root from the finished file to the first answer
 * through a link, with the time of each step: `node scripts/walk.mjs`. The recipe for Yocto is left out, as it takes a
 * build of a whole image. What is made beforehand, and not counted: the package, the tarball, the roots and their
 * containers, an image with Node.js.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { DebianRoot } from '../../support/debian-root.js';
import { DockerEngine, IMAGE } from '../../support/engines/docker.js';
import { Image } from '../../support/engines/image.js';
import { endBy, hasEnded } from '../../support/processes.js';
import { eventually } from '../../support/wait.js';
import { makeNodeImage } from '../docker/node-image.js';

const SOCKET = '/tmp/raw.sock';
const TARGET = '/run/pv/services/raw.sock';
const SERVE = ['serve', SOCKET];
const WAIT = ['wait'];
const ASK = ['ask', TARGET, 'hello'];

const folder = mkdtempSync(join(tmpdir(), 'pvx-walk-'));
chmodSync(folder, 0o755); // the daemon is not root
const image = new Image();
const lines: string[] = [];

/** Steps of one way, each with its time. */
async function walk(way: string, steps: Readonly<Record<string, () => unknown>>): Promise<void> {
  let total = 0;
  const parts: string[] = [];
  for (const [step, run] of Object.entries(steps)) {
    const began = performance.now();
    await run();
    const seconds = (performance.now() - began) / 1000;
    total += seconds;
    parts.push(`${step} ${seconds.toFixed(1)} s`);
  }
  lines.push(`${way.padEnd(16)} ${total.toFixed(1).padStart(5)} s  (${parts.join(', ')})`);
  process.stdout.write(`${lines.at(-1)}\n`);
}

/** What `--state` and `--pids` read. */
function declare(where: string, pids: Readonly<Record<string, number>>): void {
  const put = (name: string, value: unknown) =>
    writeFileSync(join(where, name), JSON.stringify(value));
  for (const name of ['provider', 'consumer'])
    mkdirSync(join(where, 'state', name), { recursive: true });
  put('state/provider/services.json', [{ name: 'raw', type: 'unix', socket: SOCKET }]);
  put('state/consumer/run.json', { services: { required: ['raw'] } });
  put('pids.json', pids);
}

const patiently = { timeoutMs: 60_000, intervalMs: 50 };
const OPTIONS = ['--state', '/srv/state', '--pids', '/srv/pids.json', '--bus', 'none'];

/** On a bare Debian with systemd. */
async function onDebian(
  way: string,
  file: string,
  steps: (root: DebianRoot, file: string) => Readonly<Record<string, () => unknown>>,
): Promise<void> {
  const root = new DebianRoot();
  await root.mount();
  try {
    copyFileSync(file, join(root.share, basename(file)));
    await root.boot();
    const provider = await root.container(image, 'provider', SERVE);
    const consumer = await root.container(image, 'consumer', WAIT);
    declare(root.share, { provider, consumer });
    const enter = ['nsenter', '--mount', '--root', '--target', `${consumer}`, '/peer'];
    await walk(way, {
      ...steps(root, `/srv/${basename(file)}`),
      'first answer': () => eventually(() => root.run([...enter, ...ASK]), patiently),
    });
  } finally {
    await root.unmount();
  }
}

function debian(root: DebianRoot, file: string) {
  const settings =
    'PV_XCONNECT_STATE=/srv/state\nPV_XCONNECT_PIDS=/srv/pids.json\nPV_XCONNECT_BUS=none\n';
  return {
    'dpkg --install': () => root.run(['dpkg', '--install', file]),
    'other settings': async () => {
      await root.run(['sh', '-c', `printf '${settings}' >/etc/default/pv-xconnect`]);
      await root.run(['systemctl', 'restart', 'pv-xconnect']);
    },
  };
}

function tarball(root: DebianRoot, file: string) {
  return {
    unpacked: () => root.run(['tar', '-xzf', file, '-C', '/', '--keep-directory-symlink']),
    'code compiled': () => root.run(['node', '/usr/lib/pv-xconnect/dist/code-cache.js']),
    started: () => root.run(['systemd-run', '--quiet', '/usr/bin/pv-xconnect', ...OPTIONS]),
  };
}

async function npm(): Promise<void> {
  const packed = execFileSync(
    'npm',
    ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder],
    {
      cwd: PACKAGE_ROOT,
      encoding: 'utf8',
    },
  ).trim();
  const at = join(folder, 'empty');
  mkdirSync(at);
  const running: ChildProcess[] = [];
  const start = (name: string, program: readonly string[]) => {
    image.copyTo(join(at, name), 0);
    const child = spawn('unshare', ['--mount', 'chroot', join(at, name), '/peer', ...program]);
    running.push(child);
    return child.pid as number;
  };
  const consumer = start('consumer', WAIT);
  declare(at, { provider: start('provider', SERVE), consumer });
  const options = OPTIONS.map((one) => one.replace('/srv', at));
  const enter = ['--mount', '--root', '--target', `${consumer}`, '/peer'];
  try {
    await walk('npm', {
      'npm install': () =>
        execFileSync('npm', ['install', '--no-audit', '--no-fund', join(folder, packed)], {
          cwd: at,
          stdio: 'pipe',
        }),
      started: () => {
        const control = ['--control', join(at, 'control.sock')];
        const program = join(at, 'node_modules/.bin/pv-xconnect');
        running.push(spawn(program, [...options, ...control], { cwd: at, stdio: 'ignore' }));
      },
      'first answer': () =>
        eventually(() => execFileSync('nsenter', [...enter, ...ASK], { stdio: 'pipe' }), patiently),
    });
  } finally {
    for (const child of running.reverse()) if (!hasEnded(child)) await endBy(child);
  }
}

async function docker(): Promise<void> {
  const engine = new DockerEngine();
  await engine.start();
  try {
    const base = join(folder, 'node');
    makeNodeImage(base);
    engine.import({ folder: base }, 'pvx-node:test');
    engine.import(image);
    const run = (name: string, label: string, program: readonly string[]) =>
      engine.docker(
        ...['run', '--detach', '--name', name, '--network', 'none', '--label', label],
        ...[IMAGE, '/peer', ...program],
      );
    const caps = ['SYS_PTRACE', 'SYS_ADMIN', 'DAC_READ_SEARCH'].flatMap((one) => [
      '--cap-add',
      one,
    ]);
    const sockets = ['--volume', `${engine.socket}:/var/run/docker.sock`];
    await walk('Docker', {
      'image built': () =>
        execFileSync(join(PACKAGE_ROOT, 'packaging/docker/build.sh'), {
          env: { ...process.env, DOCKER_HOST: engine.host, BASE: 'pvx-node:test' },
          stdio: ['ignore', 'ignore', 'pipe'],
        }),
      started: () =>
        engine.docker(
          ...['run', '--detach', '--name', 'pv-xconnect', '--pid', 'host', '--network', 'none'],
          ...[...caps, ...sockets, 'pv-xconnect'],
        ),
      'two containers': () => {
        run('provider', `pv.provide.raw=unix:${SOCKET}`, SERVE);
        run('consumer', `pv.require.raw=${TARGET}`, WAIT);
      },
      'first answer': () =>
        eventually(() => engine.docker('exec', 'consumer', '/peer', ...ASK), patiently),
    });
    engine.docker('rm', '--force', 'pv-xconnect', 'provider', 'consumer');
  } finally {
    await engine.stop();
  }
}

execFileSync(process.execPath, ['scripts/package.mjs', '--out', folder], {
  cwd: PACKAGE_ROOT,
  stdio: 'pipe',
});
const made = (ending: string) =>
  join(folder, readdirSync(folder).find((name) => name.endsWith(ending)) ?? '');
try {
  await onDebian('Debian package', made('.deb'), debian);
  await onDebian('tarball', made('.tar.gz'), tarball);
  await npm();
  await docker();
} finally {
  image.remove();
  rmSync(folder, { recursive: true, force: true });
}
