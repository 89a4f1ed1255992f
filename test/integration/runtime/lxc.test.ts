/** Containers of real pvrexports, run by liblxc's own commands: packed here, read, mounted, started, and cleared away. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pack } from '../../../src/runtime/pack/pack.js';
import { busyboxRoot } from '../../support/busybox-root.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { AppEngineProcess } from './appengine-process.js';

const INIT = `
echo "begin $(hostname)"; cat /etc/web.conf; ls /pantavisor; ls /data /root 2>&1
touch "/data/kept" "/etc/lost"
trap 'echo bye; exit 3' TERM
while :; do sleep 0.1; done`;
const POOL = { type: 'bridge', bridge: 'pvxt-lxc', subnet: '10.214.9.0/24', nat: false };

const hasAll = ['lxc-start', 'mksquashfs', 'unsquashfs', 'busybox', 'setpriv'].every((tool) =>
  has(tool),
);

describe.runIf(isRoot() && hasAll)('the lxc engine', () => {
  let engine: AppEngineProcess;
  let file: string;
  const lxc = (tool: string, ...args: string[]) =>
    spawnSync(tool, ['-P', join(engine.folder, 'lxc'), ...args], {
      encoding: 'utf8',
    }).stdout.trim();
  const pidOf = (name: string) => Number(lxc('lxc-info', '-n', name, '-pH'));
  const start = (...args: string[]) => engine.startWith([file, '--no-daemon', ...args]);
  const packed = async (files: Record<string, object | string> = {}) => {
    engine.write({
      'web/args.json': { PV_GROUP: 'app', PV_PERSISTENCE: { '/data': 'permanent' } },
      'web/run.json': { exec: ['/init'], network: { mode: 'none', hostname: 'web-host' } },
      '_config/web/etc/web.conf': 'the configuration\n',
      ...files,
    });
    const made = await pack(engine.revision, {
      output: file,
      gzip: false,
      squash: ['-noI', '-noD', '-noF', '-noX'],
    });
    if (!made.ok) throw new Error(made.why);
  };
  const leftOvers = () =>
    [
      ...execFileSync('losetup', ['-a'], { encoding: 'utf8' }).split('\n'),
      ...readFileSync('/proc/self/mountinfo', 'utf8').split('\n'),
    ].filter((line) => line.includes(engine.folder));

  beforeEach(() => {
    engine = new AppEngineProcess();
    file = join(engine.folder, 'all.pvrexport.tar');
    busyboxRoot(join(engine.revision, 'web/root'), INIT);
  });
  afterEach(() => engine.remove());

  test('runs a container of a pvrexport, which the tools of lxc know', async () => {
    await packed();
    await start();
    await engine.untilSaid('web', 'begin web-host');
    await engine.untilSaid('web', 'device-meta');
    expect(engine.console('web')).toContain('the configuration');
    expect(lxc('lxc-ls', '-f')).toMatch(/^web +RUNNING/m);
    expect(lxc('lxc-attach', '-n', 'web', '--', '/bin/id')).toMatch(/^uid=0/);
    expect(lxc('lxc-attach', '-n', 'web', '--', '/bin/ip', '-o', 'link').split('\n')).toHaveLength(
      1,
    );
    // The host sees the loop device of the root, and no mount.
    expect(leftOvers().map((line) => line.split(':')[0])).toEqual([
      expect.stringMatching(/^\/dev\/loop\d+$/),
    ]);
    const { body } = await engine.ask('PUT', '/containers/web', { action: 'stop' });
    expect(body.status).toBe('STOPPED');
    expect(engine.console('web')).toMatch(/bye\n$/);
    expect(await engine.end()).toBe(0);
    expect(engine.processes()).toEqual([]);
    expect(leftOvers()).toEqual([]);
  });

  test('restarts add no mount and no loop device, and a stop leaves none', async () => {
    await packed();
    await start();
    await engine.untilSaid('web', 'begin');
    const mounts = () =>
      lxc('lxc-attach', '-n', 'web', '--', '/bin/cat', '/proc/mounts').split('\n');
    const before = mounts().length;
    for (let i = 1; i <= 3; i++) {
      expect((await engine.ask('PUT', '/containers/web', { action: 'restart' })).status).toBe(200);
      await eventually(() => expect(engine.console('web').split('begin')).toHaveLength(i + 2));
    }
    expect(mounts()).toHaveLength(before);
    expect(leftOvers()).toHaveLength(1);
    await engine.ask('PUT', '/containers/web', { action: 'stop' });
    await eventually(() => expect(leftOvers()).toEqual([]));
  });

  test('keeps what is written as long as it is to be kept, mounted or unpacked', async () => {
    await packed();
    await start();
    await engine.untilSaid('web', 'begin');
    await engine.ask('PUT', '/containers/web', { action: 'restart' });
    await engine.untilSaid('web', /begin[\s\S]*begin[\s\S]*kept/);
    expect(lxc('lxc-attach', '-n', 'web', '--', '/bin/ls', '/etc/lost')).toBe('/etc/lost');
    await engine.end();
    await start('--unpack');
    await engine.untilSaid('web', /begin[\s\S]*begin[\s\S]*begin[\s\S]*kept/);
    expect(engine.said).toContain('root.squashfs is unpacked');
    await eventually(() =>
      expect(existsSync(join(engine.folder, 'boot/web/lxc-overlay/upper/etc/lost'))).toBe(true),
    );
    expect(existsSync(join(engine.folder, 'volumes/web/docker--data/kept'))).toBe(true);
  });

  test('leaves nothing after SIGKILL, and starts again', async () => {
    await packed();
    await start();
    await engine.untilSaid('web', 'begin');
    const pid = pidOf('web');
    await engine.end('SIGKILL');
    await eventually(() => expect(isRunning(pid)).toBe(false));
    expect(leftOvers()).toEqual([]);
    await start();
    await engine.untilSaid('web', /begin[\s\S]*begin/);
    expect(lxc('lxc-ls', '-f')).toMatch(/^web +RUNNING/m);
    expect(readFileSync(`/proc/${pidOf('web')}/cgroup`, 'utf8')).not.toContain('web-1');
  });

  test('takes the addresses of a pool, and no other container is given those of a configuration', async () => {
    const baked =
      'lxc.init.cmd = /init\nlxc.net.0.type = empty\nlxc.net.0.ipv4.address = 10.214.9.2/24\n';
    busyboxRoot(join(engine.revision, 'baked/root'), INIT);
    await packed({
      'web/run.json': { exec: ['/init'], network: { pool: 'internal' } },
      'baked/run.json': { group: 'app' },
      'baked/lxc.container.conf': baked,
      'device.json': { network: { pools: { internal: POOL } } },
    });
    await start();
    await engine.untilSaid('web', 'begin');
    const addresses = lxc('lxc-attach', '-n', 'web', '--', '/bin/ip', '-o', 'addr', 'show', 'eth0');
    expect(addresses).toContain('10.214.9.3/24');
    await engine.end();
    expect(existsSync(`/sys/class/net/${POOL.bridge}`)).toBe(false);
  });

  test('refuses what a configuration would do on the host, and runs the others', async () => {
    const hook = `lxc.init.cmd = /init\nlxc.hook.pre-start = /usr/bin/touch ${engine.folder}/evil\n`;
    busyboxRoot(join(engine.revision, 'hooked/root'), INIT);
    busyboxRoot(join(engine.revision, 'linked/root'), INIT);
    symlinkSync(engine.folder, join(engine.revision, 'linked/root/out'));
    mkdirSync(join(engine.revision, 'broken'));
    writeFileSync(join(engine.revision, 'broken/root.squashfs'), 'no squashfs');
    await packed({
      'hooked/run.json': { group: 'app' },
      'hooked/lxc.container.conf': hook,
      'linked/run.json': { group: 'app', exec: ['/init'] },
      'linked/args.json': { PV_PERSISTENCE: { '/out/evil': 'permanent' } },
      'broken/run.json': { group: 'app', exec: ['/init'] },
    });
    await start();
    await engine.untilSaid('web', 'begin');
    await engine.untilSaid('linked', 'begin');
    await eventually(() =>
      expect(engine.said).toContain('broken did not start: root.squashfs is no squashfs'),
    );
    expect(engine.said).toContain('hooked/lxc.container.conf:line 2: found lxc.hook.pre-start');
    const refused = await engine.ask('PUT', '/containers/hooked', { action: 'start' });
    expect([refused.status, refused.body.Error]).toEqual([
      409,
      'hooked has a lxc.container.conf that is refused: correct its line 2.',
    ]);
    expect(existsSync(join(engine.folder, 'evil'))).toBe(false);
  });

  test('asks each to end by the signal of its configuration, and kills one that does not', async () => {
    const containers: Record<string, [signals: string, configuration: string]> = {
      stop: [
        "trap 'exit 1' TERM PWR; trap 'echo got 37; exit 0' 37",
        'lxc.signal.stop = SIGRTMIN+3',
      ],
      halt: ["trap 'exit 1' TERM 37; trap 'echo got PWR; exit 0' PWR", 'lxc.signal.halt = SIGPWR'],
      deaf: ["trap '' TERM PWR 37", 'lxc.signal.stop = SIGRTMIN+3\nlxc.signal.halt = SIGPWR'],
    };
    for (const [name, [signals, configuration]] of Object.entries(containers)) {
      busyboxRoot(join(engine.revision, name, 'root'), trapping(signals));
      engine.write({
        [`${name}/run.json`]: { exec: ['/init'], group: 'app' },
        [`${name}/args.json`]: { PV_LXC_EXTRA_CONF: configuration },
      });
    }
    await packed();
    await start();
    for (const name of Object.keys(containers)) {
      await engine.untilSaid(name, 'begin');
      await engine.ask('PUT', `/containers/${name}`, { action: 'stop' });
    }
    expect(engine.console('stop')).toMatch(/got 37\n$/);
    expect(engine.console('halt')).toMatch(/got PWR\n$/);
    await eventually(() => expect(engine.said).toContain('deaf is stopped.'), {
      timeoutMs: 15_000,
    });
    expect(engine.said).toContain('deaf did not end within 5 s and is killed.');
  });

  test('unpacks no root that is larger than an image of its size may be, and one for all who have it', async () => {
    for (const name of ['twin', 'bomb']) busyboxRoot(join(engine.revision, name, 'root'), INIT);
    const big = join(engine.revision, 'bomb/root/big');
    writeFileSync(big, '');
    truncateSync(big, 30 * 1024 ** 2);
    for (let i = 0; i < 40; i++) linkSync(big, `${big}-${i}`);
    await packed({
      'twin/run.json': { group: 'app', exec: ['/init'], network: { mode: 'none' } },
      'bomb/run.json': { group: 'app', exec: ['/init'] },
    });
    const roots = join(engine.folder, 'roots');
    mkdirSync(join(roots, 'killed.draft'), { recursive: true }); // what a process that was killed leaves
    await start('--unpack');
    for (const name of ['web', 'twin']) await engine.untilSaid(name, 'begin');
    await eventually(() =>
      expect(engine.said).toContain(
        "bomb did not start: root.squashfs can't be unpacked (its files have more than 1024 MiB, the most for an image of that size)",
      ),
    );
    expect(engine.said.match(/root\.squashfs is unpacked/g)).toHaveLength(2);
    expect(readdirSync(roots)).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
  });

  test('keeps to users of the host what containers have, and refuses a configuration that is none', async () => {
    busyboxRoot(join(engine.revision, 'huge/root'), INIT);
    await packed({
      'huge/run.json': { group: 'app', exec: ['/init'] },
      'huge/lxc.container.conf': `lxc.init.cmd = /init\n#${'x'.repeat(2 ** 20)}`,
      '_config/web/etc/large': 'x'.repeat(2 ** 20),
    });
    await start('--unpack');
    await engine.untilSaid('web', 'begin');
    for (const name of ['lxc', 'roots', 'volumes', 'revisions', 'boot']) {
      expect([name, statSync(join(engine.folder, name)).mode & 0o777]).toEqual([name, 0o700]);
    }
    expect(lxc('lxc-attach', '-n', 'web', '--', '/bin/ls', '-l', '/etc/large')).toContain(
      '1048576',
    );
    await eventually(() =>
      expect(engine.said).toMatch(/huge did not start: lxc\.container\.conf has more than/),
    );
  });

  test('takes no process of the host for the first one of a container, whatever its configuration has logged', async () => {
    const lie = 'Started "x" with pid "1"';
    const configurations = {
      mounts: `lxc.mount.entry = tmpfs ${lie.replaceAll(' ', '\\040')} tmpfs create=dir 0 0`,
      signals: `lxc.signal.halt = ${lie}`,
      brief: '',
    };
    for (const [name, configuration] of Object.entries(configurations)) {
      busyboxRoot(join(engine.revision, name, 'root'), 'echo begin; exit 0');
      engine.write({
        [`${name}/run.json`]: { exec: ['/init'], group: 'app' },
        [`${name}/args.json`]: { PV_LXC_EXTRA_CONF: configuration },
      });
    }
    await packed();
    await start();
    await engine.untilSaid('web', 'begin');
    for (const name of Object.keys(configurations)) {
      await eventually(() =>
        expect(engine.said).toMatch(new RegExp(`${name} (ended|did not start)`)),
      );
    }
    expect(engine.said).toContain('brief ended (exit code 0)');
    expect(engine.said).not.toMatch(/pid 1\.$/m);
  });
});

const trapping = (signals: string) => `
${signals}
echo begin
while :; do sleep 0.1; done`;

/** A zombie that nobody reaps is not. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
