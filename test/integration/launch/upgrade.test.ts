/** Another version takes over, or is given up: what each child is told meanwhile, and who is left. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { numbered } from '../../support/handover.js';
import { childrenOf, statusOf } from '../../support/processes.js';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { type ChildName, Family } from './family.js';

const [Z, H] = [numbered('Z'), numbered('H')];
const FROZEN = numbered('z');
const CHILDREN = ['pvx-broker', 'pvx-relay', 'node'] as const;

let family: Family;
beforeEach(() => {
  family = new Family();
  family.plan('pvx-broker', 'heed wait', 'heed handed wait');
  family.plan('pvx-relay', 'heed wait', 'heed handed wait');
  family.plan('node', 'heed ready until go word U wait', 'heed ready wait');
});
afterEach(() => family.remove());

/** Lets the daemon ask for an upgrade: `until go` of its plan. */
const go = (name = 'go') => writeFileSync(join(family.folder, name), '');
const kill = (pid: number) => process.kill(pid, 'SIGKILL');
const isRunning = (pid: number) => family.running().includes(pid);
const heard = (name: ChildName, word: string) =>
  eventually(() => expect(family.diary(name)).toContain(word), { timeoutMs: 15_000 });
const said = (text: string | RegExp) =>
  eventually(() => expect(family.said).toMatch(text), { timeoutMs: 15_000 });
const firsts = async () => Promise.all(CHILDREN.map((name) => family.started(name)));

async function begin(env: NodeJS.ProcessEnv = {}): Promise<number[]> {
  family.start([], env);
  const pids = await firsts();
  await heard('node', 'ready');
  family.install('two');
  go();
  return pids;
}

/** The old ones serve, thawed, and there is nobody else. */
async function expectGivenUp(pids: readonly number[], why: RegExp): Promise<void> {
  await said(why);
  await heard('node', 'T');
  await eventually(() =>
    expect(family.diary('node').some((line) => line.startsWith('X') && why.test(line))).toBe(true),
  );
  await eventually(() => expect(childrenOf(family.pid)).toEqual(pids));
  for (const name of ['pvx-broker', 'pvx-relay'] as const) {
    if (family.diary(name).includes(H)) await heard(name, 'T');
  }
  expect(family.diary('node')).not.toContain('C');
  expect(family.diary('pvx-broker')).not.toContain('C');
  expect(family.diary('pvx-broker')).not.toContain('TERM');
}

async function expectEnd(code: number): Promise<void> {
  process.kill(family.pid, 'SIGTERM');
  expect(await family.ended()).toBe(code);
  expect(family.running()).toEqual([]);
  expect(() => readFileSync(family.control)).toThrow('ENOENT');
}

describe.runIf(isRoot())('an upgrade', () => {
  test('has another image, in the same process, with children of its own, and the old ones end', async () => {
    const pids = await begin();
    await eventually(() => expect(family.running().some((pid) => pids.includes(pid))).toBe(false));
    const next = await Promise.all(CHILDREN.map((name) => family.started(name, 2)));
    expect(childrenOf(family.pid).sort()).toEqual([...next].sort());
    expect(family.program(family.pid)).toMatch(/\/two\/build\/Release\/pv-xconnect$/);
    for (const pid of next) expect(family.words(pid).join(' ')).toContain('/two/build/Release/');
    expect(family.environment('node')).toContain('PVX_INCARNATION=2');
    const words = (name: ChildName) =>
      family.diary(name).filter((line) => /^([ZHCTX]|TERM)/.test(line));
    expect(words('node')).toEqual([Z, 'C']);
    expect(words('pvx-relay').slice(0, 3)).toEqual([Z, H, 'T']);
    await eventually(() => expect(words('pvx-relay').slice(3).sort()).toEqual(['C3600', 'T'])); // of two
    expect(words('pvx-broker').slice(0, 2)).toEqual([Z, H]);
    expect(words('pvx-broker').slice(2).sort()).toEqual(['C', 'TERM']); // as soon as it reads either
    expect(family.said).toBe('');
    await expectEnd(0);
  });

  test('keeps of root what the process had, and nothing that its children get', async () => {
    family.start();
    await firsts();
    await heard('node', 'ready');
    const of = () => {
      const status = statusOf(family.pid);
      const fields = ['CapPrm', 'CapEff', 'CapBnd', 'CapInh', 'CapAmb', 'NoNewPrivs'];
      return ['SigBlk', 'SigIgn', 'SigCgt', ...fields].map((name) => status(name));
    };
    const files = (pid: number) => family.descriptors(pid);
    const [before, fds] = [of(), files(family.pid)];
    const nodes = files(await family.started('node')).map(({ fd }) => fd);
    family.install('two');
    go();
    await heard('pvx-broker', 'TERM');
    await eventually(() => expect(childrenOf(family.pid)).toHaveLength(3));
    expect(of()).toEqual(before);
    await eventually(() => expect(files(family.pid)).toHaveLength(fds.length));
    const own = files(await family.started('node', 2)).map(({ fd }) => fd);
    expect(own.filter((fd) => fd < 10)).toEqual(nodes.filter((fd) => fd < 10));
    expect(family.environment('pvx-broker').some((one) => one.startsWith('PVX_RESUME'))).toBe(
      false,
    );
  });

  test('of a package that was replaced where it is', async () => {
    family.start();
    const pids = await firsts();
    await heard('node', 'ready');
    rmSync(join(family.folder, 'one'), { recursive: true });
    family.install('one');
    go();
    await heard('pvx-broker', 'TERM');
    await eventually(() => expect(family.running().some((pid) => pids.includes(pid))).toBe(false));
    expect(family.program(family.pid)).toMatch(/\/one\/build\/Release\/pv-xconnect$/);
  });

  test('twice, and a child of the last version that dies is started again', async () => {
    family.plan(
      'node',
      'heed ready until go word U wait',
      'heed ready until again word U0 wait',
      'heed ready wait',
    );
    await begin();
    await eventually(() => expect(family.diary('pvx-broker').includes('TERM')).toBe(true));
    await eventually(() => expect(childrenOf(family.pid)).toHaveLength(3));
    family.install('three');
    go('again');
    await heard('pvx-relay', 'C0');
    await eventually(() => expect(childrenOf(family.pid)).toHaveLength(3));
    kill(await family.started('node', 3));
    const last = await family.started('node', 4);
    expect(family.words(last).join(' ')).toContain('/three/build/Release/');
    expect(family.environment('node')).toContain('PVX_INCARNATION=4');
    kill(await family.started('pvx-relay', 3));
    expect(family.words(await family.started('pvx-relay', 4)).join(' ')).toContain('/three/');
    await expectEnd(0);
  });

  test.each([
    ['90', 'C90'],
    ['99999999999999999999', 'C2592000'],
    ['soon', 'C3600'],
  ])(
    'gives the connections of the old relay the seconds of the environment: %s',
    async (given, word) => {
      await begin({ PV_XCONNECT_UPGRADE_DRAIN: given });
      await heard('pvx-relay', word);
      await heard('pvx-broker', 'TERM');
    },
  );

  test('that another one asks for meanwhile is one', async () => {
    family.plan(
      'node',
      `heed Z ready until go word U word U until z word ${FROZEN} wait`,
      'heed ready wait',
    );
    await begin();
    await heard('node', 'Xanother upgrade is under way');
    go('z');
    await heard('pvx-broker', 'TERM');
    expect(family.starts('node')).toHaveLength(2);
  });

  test('after another while old connections go on, of four versions at once and no more', async () => {
    family.plan('pvx-relay', 'heed C wait', 'heed C handed wait');
    family.plan(
      'node',
      ...[1, 2, 3, 4].map((n) => `heed ready until go${n} word U wait`),
      'heed ready until go5 word U until go6 word U wait',
      'heed ready wait',
    );
    family.start();
    const pids = await firsts();
    await heard('node', 'ready');
    for (let n = 1; n <= 4; n++) {
      family.install(`next${n}`);
      go(`go${n}`);
      await family.started('node', n + 1);
      // Only a broker, a relay and its successors are left, of each.
      await eventually(() => expect(childrenOf(family.pid)).toHaveLength(3 + 2 * n), {
        timeoutMs: 15_000,
      });
    }
    const descriptors = () => family.descriptors(family.pid).length;
    const most = descriptors();
    family.install('next5');
    go('go5');
    await eventually(() =>
      expect(family.diary('node').join('\n')).toMatch(
        /X4 versions before this one still have connections: try again when .* in 6\d minutes at the/,
      ),
    );
    expect(descriptors()).toBe(most);
    expect(family.running()).toEqual(expect.arrayContaining(pids.slice(0, 2)));

    kill(await family.started('pvx-relay', 2)); // its last connection has ended: so has the broker's work
    await eventually(() => expect(family.running()).toHaveLength(9));
    go('go6');
    await family.started('node', 6);
    await eventually(() => expect(childrenOf(family.pid)).toHaveLength(11), { timeoutMs: 15_000 });
    expect(descriptors()).toBe(most);
    expect(family.said).toBe('');
    await expectEnd(0);
    expect(family.running()).toEqual([]);
  }, 60_000);

  test.each([
    [
      'has another protocol',
      'exit 65',
      /does not have number \d+ of the protocol between versions, as this version does: restart/,
    ],
    ['exits with 1', 'exit 1', /can't go on where this version is \(exit code 1\)/],
    ['is no program', null, /can't go on where this version is \(exit code 127\)/],
    ['can be executed no more', 'rm "$0"; exit 0', /can't be executed: No such file or directory/],
    ['does not answer', 'exec sleep 60', /does not say in time whether it can go on/],
  ])('is refused where the image %s', async (_what, script, why) => {
    family.start();
    const pids = await firsts();
    await heard('node', 'ready');
    family.install('two', script === null ? 'nonsense' : `#!/bin/sh\n${script}\n`);
    const fds = family.descriptors(family.pid).length;
    const numbers = (pid: number) => family.descriptors(pid).map(({ fd }) => fd);
    const own = numbers(pids[2] as number);
    go();
    await said(why);
    await eventually(() =>
      expect(family.diary('node').some((line) => line.startsWith('X'))).toBe(true),
    );
    await eventually(() => expect(childrenOf(family.pid)).toEqual(pids));
    expect(family.diary('node')).not.toContain(Z);
    expect(family.descriptors(family.pid)).toHaveLength(fds);
    kill(pids[2] as number); // it serves as before, and its children get nothing that was to be kept
    const next = await family.started('node', 2);
    await eventually(() => expect(numbers(next)).toEqual(own));
    await expectEnd(0);
  });

  test.each([
    [
      'a broker that dies',
      'pvx-broker',
      'exit 1',
      /pvx-broker of the new version ended \(exit code 1\)/,
    ],
    ['a relay that dies', 'pvx-relay', 'killed', /pvx-relay of the new version ended \(signal 9\)/],
    ['a daemon that dies', 'node', 'exit 1', /the daemon of the new version ended \(exit code 1\)/],
    ['a relay that says nothing', 'pvx-relay', 'wait', /were not handed over in time/],
    ['a daemon that is not ready', 'node', 'wait', /was not ready in time/],
  ] as const)('is given up with %s', async (_what, name, plan, why) => {
    const first = name === 'node' ? 'heed ready until go word U wait' : 'heed wait';
    family.plan(name, first, plan, 'heed ready wait');
    const pids = await begin();
    await expectGivenUp(pids, why);
    kill(pids[2] as number);
    const last = await family.started(
      'node',
      name === 'node' || why.source.includes('daemon') ? 3 : 2,
    );
    expect(family.words(last).join(' ')).toContain('/one/build/Release/');
    await expectEnd(0);
  });

  test('that was given up leaves what is started again to the package that is there by then', async () => {
    family.plan('node', 'heed ready until go word U wait', 'exit 1', 'heed ready wait');
    const pids = await begin();
    await expectGivenUp(pids, /the daemon of the new version ended/);
    rmSync(join(family.folder, 'one'), { recursive: true });
    kill(pids[1] as number);
    const relay = await family.started('pvx-relay', 3);
    expect(family.words(relay).join(' ')).toContain('/two/build/Release/');
    await said(
      /\/one\/build\/Release\/pvx-broker is missing: what is started again is of .*\/two\./,
    );
    kill(pids[2] as number);
    expect(family.words(await family.started('node', 3)).join(' ')).toContain('/two/dist/main.js');
    await expectEnd(0);
  });

  test('is given up with a daemon that does not freeze', async () => {
    family.plan('node', 'heed Z ready until go word U wait');
    const pids = await begin();
    await expectGivenUp(pids, /did not freeze in time/);
    expect(family.starts('pvx-broker')).toHaveLength(1);
  });

  test('is given up with a daemon that has another protocol', async () => {
    family.plan('node', 'heed Z ready until go word U until z word z1 wait');
    const pids = await begin();
    await heard('node', Z);
    go('z');
    await expectGivenUp(
      pids,
      /the running daemon has number 1 of .*, and the new version \d: restart/,
    );
    expect(family.starts('pvx-broker')).toHaveLength(1);
  });

  test.each(['node', 'pvx-relay'] as const)('is given up when the old %s dies', async (name) => {
    family.plan('node', 'heed ready until go word U wait', 'wait', 'heed ready wait');
    const pids = await begin();
    const trial = await family.started('node', 2);
    kill(pids[CHILDREN.indexOf(name)] as number);
    await said(/the upgrade was given up: .* ended \(signal 9\) meanwhile/);
    await eventually(() => expect(isRunning(trial)).toBe(false));
    await family.started(name, 3);
    await eventually(() => expect(childrenOf(family.pid)).toHaveLength(3));
    expect(isRunning(pids[0] as number)).toBe(true);
    await expectEnd(0);
  });

  test('ends everything when the old broker dies before the new one has taken over', async () => {
    family.plan('node', 'heed ready until go word U wait', 'wait');
    const pids = await begin();
    await family.started('node', 2);
    kill(pids[0] as number);
    expect(await family.ended()).toBe(1);
    expect(family.running()).toEqual([]);
    expect(family.diary('pvx-broker')).not.toContain('TERM');
  });

  test('goes on where an old one dies that only has to end', async () => {
    family.plan('pvx-relay', 'heed C wait', 'heed handed wait');
    const pids = await begin();
    await heard('pvx-relay', 'C3600');
    kill(pids[0] as number);
    await said(/pvx-broker of a version before ended \(signal 9\)/);
    kill(pids[1] as number);
    await eventually(() => expect(childrenOf(family.pid)).toHaveLength(3));
    await expectEnd(0);
  });

  test('sees a child that ended while one image took the place of the other', async () => {
    family.start();
    const pids = await firsts();
    await heard('node', 'ready');
    const image = join(family.folder, 'two/build/Release/image');
    family.install(
      'two',
      `#!/bin/sh
if [ "$1" != --resumes ]; then # without a process of its own, as a shell reaps all children
  kill -9 ${pids[1]}
  while read -r line < /proc/${pids[1]}/stat; do case $line in *') Z '*) break ;; esac; done
fi
exec ${image} "$@"
`,
      'image',
    );
    go();
    await said(
      /given up: pvx-relay ended \(signal 9\) meanwhile.*\n.*pvx-relay ended \(signal 9\): it is started again/,
    );
    await family.started('pvx-relay', 2);
    await heard('node', 'T');
    await eventually(() => expect(childrenOf(family.pid)).toHaveLength(3));
    await expectEnd(0);
  });

  test.each([
    ['the image is asked', '#!/bin/sh\nexec sleep 60\n', {}, /asked to end/],
    [
      'the daemon freezes',
      undefined,
      { node: 'heed Z ready until go word U wait' },
      /asked to end/,
    ],
    ['things are handed over', undefined, { 'pvx-relay': 'heed wait' }, /asked to end/],
    [
      'the daemon is tried',
      undefined,
      { node: 'heed ready until go word U wait\nwait' },
      /asked to end/,
    ],
    ['the old ones end', undefined, { 'pvx-relay': 'heed C wait\nheed handed wait' }, /^$/],
  ] as const)('ends with everything at SIGTERM while %s', async (what, script, plans, why) => {
    for (const [name, plan] of Object.entries(plans)) family.plan(name as ChildName, plan);
    family.start();
    await firsts();
    await heard('node', 'ready');
    family.install('two', script);
    go();
    if (what === 'the image is asked') {
      await eventually(() => expect(childrenOf(family.pid)).toHaveLength(4));
    } else if (what === 'the daemon freezes') await heard('node', Z);
    else if (what === 'things are handed over') await family.started('pvx-relay', 2);
    else if (what === 'the daemon is tried') await family.started('node', 2);
    else await heard('pvx-relay', 'C3600');
    await expectEnd(0);
    expect(family.said).toMatch(why);
    expect(family.diary('node')).toContain('TERM');
  });
});
