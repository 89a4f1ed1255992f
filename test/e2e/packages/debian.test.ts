/**
 * The Debian package: installed, upgraded under a connection that goes on, removed and purged by the real dpkg, in a
 * root of its own; and the same under a real systemd.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { ContainerPair } from '../../support/container-pair.js';
import { request, TestDaemon } from '../../support/daemon.js';
import { DebianRoot } from '../../support/debian-root.js';
import { Image } from '../../support/engines/image.js';
import type { Peer } from '../../support/peer-process.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const UNIT = join(PACKAGE_ROOT, 'packaging/debian/pv-xconnect.service');
const folder = mkdtempSync(join(tmpdir(), 'pvx-debian-'));
afterAll(() => rmSync(folder, { recursive: true }));

function make(version: string, arch = 'amd64'): string {
  const argv = ['scripts/package.mjs', '--version', version, '--arch', arch, '--out', folder];
  execFileSync(process.execPath, argv, { cwd: PACKAGE_ROOT, stdio: 'pipe' });
  return join(folder, `pv-xconnect_${version}_${arch}.deb`);
}

const isDebian = isRoot() && has('dpkg-deb') && process.arch === 'x64';
const packages: string[] = [];
function packaged(): readonly string[] {
  if (packages.length === 0) packages.push(make('0.9.1'), make('0.9.2'));
  return packages;
}

describe.runIf(isDebian && has('mmdebstrap'))('the Debian package', () => {
  const root = new DebianRoot();
  beforeAll(async () => {
    packaged();
    await root.mount();
    await root.run(['dpkg', '--install', packages[0] as string]);
  }, 240_000);
  afterAll(() => root.unmount(), 30_000);

  test('installs programs, pages, completions and the unit', async () => {
    expect(await root.run(['pv-xconnect', '--version'])).toBe('0.9.1\n');
    expect(await root.run(['pv-appengine', '--version'])).toBe('0.9.1\n');
    const names = root.written();
    for (const name of readdirSync(join(PACKAGE_ROOT, 'bin'))) {
      expect(names).toContain(`usr/bin/${name}`);
      expect(names).toContain(`usr/share/man/man8/${name}.8.gz`);
      expect(names).toContain(`usr/share/bash-completion/completions/${name}`);
      expect(names).toContain(`usr/share/zsh/vendor-completions/_${name}`);
      expect(names).toContain(`usr/share/fish/vendor_completions.d/${name}.fish`);
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
      // Where the service has its socket, as an administrator says it: dpkg knows nothing of it.
      const setting = `PV_XCONNECT_CONTROL="${control}"`;
      await root.run(['sh', '-c', `echo '${setting}' >>/etc/default/pv-xconnect`]);
      const said = await root.run(['dpkg', '--install', packages[1] as string]);
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

describe.runIf(isDebian && has('mmdebstrap') && has('cc'))('the service under systemd', () => {
  const root = new DebianRoot();
  const image = new Image();
  const systemctl = (...args: string[]) => root.run(['systemctl', ...args]);
  const shown = async (...names: string[]) => {
    const said = await systemctl(
      'show',
      'pv-xconnect',
      ...names.map((name) => `--property=${name}`),
    );
    return Object.fromEntries(
      said
        .trim()
        .split('\n')
        .map((one) => one.split(/=(.*)/s)),
    );
  };
  const install = (deb: string | undefined) => root.run(['dpkg', '--install', `/srv/${deb}`]);
  const set = (text: string) =>
    root.run(['sh', '-c', `printf '%s\n' "$1" >/etc/default/pv-xconnect`, 'sh', text]);
  const links = async () =>
    JSON.parse(await root.run(['pv-xconnect', 'graph', '--json', '--control', CONTROL]));
  const CONTROL = '/run/pv-xconnect/its-own.sock';

  beforeAll(async () => {
    await root.mount();
    for (const path of packaged()) copyFileSync(path, join(root.share, basename(path)));
    await root.boot();
  }, 240_000);
  afterAll(async () => {
    await root.unmount();
    image.remove();
  }, 30_000);

  const [older, newer] = ['0.9.1', '0.9.2'].map((version) => `pv-xconnect_${version}_amd64.deb`);

  test('runs from its installation on, and is ready when it says so', async () => {
    await install(older);
    expect(await shown('ActiveState', 'SubState', 'Type', 'UnitFileState')).toEqual({
      ...{ ActiveState: 'active', SubState: 'running', Type: 'notify', UnitFileState: 'enabled' },
    });
    await install(older); // nothing to be done is no failure
  }, 60_000);

  test('serves links, also while its settings are read again and a newer version is installed', async () => {
    const pids = {
      provider: await root.container(image, 'provider', ['serve', '/tmp/raw.sock']),
      consumer: await root.container(image, 'consumer', ['hold', '/run/pv/services/raw.sock']),
    };
    const put = (name: string, value: unknown) =>
      writeFileSync(join(root.share, name), JSON.stringify(value));
    for (const name of ['state/provider', 'state/consumer']) {
      mkdirSync(join(root.share, name), { recursive: true });
    }
    put('state/provider/services.json', [{ name: 'raw', type: 'unix', socket: '/tmp/raw.sock' }]);
    put('state/consumer/run.json', { services: { required: ['raw'] } });
    put('pids.json', pids);
    const settings = { CONTROL, STATE: '/srv/state', PIDS: '/srv/pids.json', BUS: 'none' };
    await set(
      Object.entries(settings)
        .map(([name, value]) => `PV_XCONNECT_${name}=${value}`)
        .join('\n'),
    );
    await systemctl('restart', 'pv-xconnect');
    const open = { state: 'established', connections: { active: 1, total: 1 } };
    await eventually(async () => expect(await links()).toMatchObject([open]));
    const before = await shown('MainPID', 'NRestarts');

    await systemctl('reload', 'pv-xconnect');
    expect(await shown('ActiveState', 'MainPID', 'NRestarts')).toEqual({
      ...before,
      ActiveState: 'active',
    });

    expect(await install(newer)).toContain('upgraded from 0.9.1 to 0.9.2');
    expect(await shown('ActiveState', 'MainPID', 'NRestarts')).toEqual({
      ...before,
      ActiveState: 'active',
    });
    await eventually(async () => expect(await links()).toMatchObject([{ state: 'established' }]));
    const kept = await root.run(['sh', '-c', `cat /proc/${pids.consumer}/stat`]);
    expect(kept).toContain('(peer)');
    expect(await systemctl('is-active', 'consumer')).toBe('active\n'); // it ends with its connection
  }, 60_000);

  test('is started again when it hangs', async () => {
    await root.run(['mkdir', '-p', '/run/systemd/system/pv-xconnect.service.d']);
    const drop =
      'printf "[Service]\\nWatchdogSec=1\\n" >/run/systemd/system/pv-xconnect.service.d/test.conf';
    await root.run(['sh', '-c', drop]);
    await systemctl('daemon-reload');
    await systemctl('restart', 'pv-xconnect');
    const { MainPID: pid } = await shown('MainPID');
    await root.run(['sh', '-c', `kill -STOP ${pid}`]);
    await eventually(
      async () => {
        const after = await shown('MainPID', 'NRestarts', 'ActiveState');
        expect(after).toMatchObject({ NRestarts: '1', ActiveState: 'active' });
        expect(after.MainPID).not.toBe(pid);
      },
      { timeoutMs: 30_000 },
    );
  }, 60_000);

  test('ends, and leaves nothing when it is purged', async () => {
    await systemctl('stop', 'pv-xconnect');
    expect(await shown('ActiveState', 'Result', 'ExecMainStatus')).toEqual({
      ...{ ActiveState: 'inactive', Result: 'success', ExecMainStatus: '0' },
    });
    await systemctl('start', 'pv-xconnect');
    await root.run(['dpkg', '--remove', 'pv-xconnect']);
    await expect(systemctl('is-active', 'pv-xconnect')).rejects.toThrow();
    await root.run(['dpkg', '--purge', 'pv-xconnect']);
    expect(root.written()).toEqual([]);
  }, 60_000);
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

test.runIf(isDebian && has('man'))(
  'the manual pages are shown without a warning',
  () => {
    const at = join(folder, 'manual');
    execFileSync('dpkg-deb', ['--extract', packaged()[0] as string, at]);
    const pages = readdirSync(join(at, 'usr/share/man/man8'));
    expect(pages).toHaveLength(readdirSync(join(PACKAGE_ROOT, 'bin')).length);
    for (const page of pages) {
      const path = join(at, 'usr/share/man/man8', page);
      const shown = spawnSync('man', ['--warnings', '-E', 'UTF-8', '-l', path], {
        encoding: 'utf8',
        env: { ...process.env, MANWIDTH: '80', LC_ALL: 'C.UTF-8' },
      });
      expect(shown.stderr).toBe('');
      expect(shown.stdout).toContain('SYNOPSIS');
    }
  },
  120_000,
);

test.runIf(has('systemd-analyze'))('the unit is one that systemd understands', () => {
  const at = join(folder, 'pv-xconnect.service');
  const here = readFileSync(UNIT, 'utf8').replace(/^ExecStart=.*$/m, 'ExecStart=/bin/true');
  writeFileSync(at, here.replace(/^Documentation=.*$/m, '')); // neither is installed on this machine
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', at], {
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([0, '']);
});

test.runIf(has('systemd-analyze'))('the unit gives nobody more than it needs', () => {
  // Most of the rest are mounts of its own, which would hide the host from the broker, and capabilities that it needs.
  const flags = ['--offline=yes', '--threshold=61'];
  const { status, stdout } = spawnSync('systemd-analyze', ['security', ...flags, UNIT], {
    encoding: 'utf8',
  });
  expect(status, stdout).toBe(0);
});
