/** A container that fills the disk that the storage is on: what is lost is its own, and the runtime goes on. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LogFile } from '../../../src/runtime/log-file.js';
import { pack } from '../../../src/runtime/pack/pack.js';
import { busyboxRoot } from '../../support/busybox-root.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { AppEngineProcess } from './appengine-process.js';

const FILLER = `
echo begin; trap 'exit 0' TERM
until [ -e /go ]; do sleep 0.05; done
cat /dev/zero >/full; echo "full"
while :; do sleep 0.1; done`;
const OTHER = "echo begin; trap 'exit 0' TERM; while :; do sleep 0.1; done";
const hasAll = ['lxc-start', 'mksquashfs', 'busybox', 'setpriv'].every((tool) => has(tool));

describe.runIf(isRoot() && hasAll)('a container that fills the disk with its overlay', () => {
  const disk = mkdtempSync(join(tmpdir(), 'pvx-disk-'));
  let engine: AppEngineProcess;
  beforeAll(async () => {
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk]);
    engine = new AppEngineProcess(disk);
    for (const [name, init] of Object.entries({ filler: FILLER, other: OTHER })) {
      busyboxRoot(join(engine.revision, name, 'root'), init);
      engine.write({ [`${name}/run.json`]: { exec: ['/init'], group: 'app' } });
    }
    const output = join(engine.folder, 'all.pvrexport.tar');
    const made = await pack(engine.revision, { output, gzip: false });
    if (!made.ok) throw new Error(made.why);
    await engine.startWith([output, '--no-daemon']);
    for (const name of ['filler', 'other']) await engine.untilSaid(name, 'begin');
  });
  afterAll(async () => {
    await engine.remove();
    spawnSync('umount', ['--lazy', disk]);
    rmSync(disk, { recursive: true, force: true });
  });

  const action = (name: string, said: string) =>
    engine.ask('PUT', `/containers/${name}`, { action: said });
  const statusOf = async (name: string) => (await engine.get(`/containers/${name}`)).body.status;

  test('leaves the runtime and the others as they are, and has no more room once it starts anew', async () => {
    const lxc = ['-P', join(engine.folder, 'lxc'), '-n', 'filler', '--'];
    spawnSync('lxc-attach', [...lxc, '/bin/touch', '/go']);
    await eventually(async () =>
      expect((await engine.ask('PUT', '/user-meta/large', 'x'.repeat(500_000))).status).toBe(507),
    );
    expect((await engine.get('/containers')).status).toBe(200);
    expect(await statusOf('other')).toBe('STARTED');
    expect((await action('other', 'stop')).status).toBe(200);
    expect((await action('filler', 'stop')).status).toBe(200);
    await eventually(async () => expect(await statusOf('filler')).toBe('STOPPED'));
    expect(await engine.end()).toBe(0);
    await engine.startWith(['--no-daemon']); // an overlay of the persistence "boot" is empty again
    for (const name of ['filler', 'other']) {
      await eventually(async () => expect(await statusOf(name)).toBe('STARTED'));
    }
    expect((await engine.ask('PUT', '/user-meta/large', 'x'.repeat(500_000))).status).toBe(200);
  });
});

test('a log takes no more than twice its limit, whatever is written without an end of a line', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-log-'));
  try {
    const log = new LogFile(join(folder, 'console.log'), 10_000);
    for (let i = 0; i < 100; i++) await log.write(Buffer.alloc(1_000, 'x'));
    await log.close();
    const sizes = ['console.log', 'console.log.1'].map((name) => statSync(join(folder, name)).size);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(10_000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
