/** How the daemon ends: with the runtime that launched it, in time, and leaving no process behind. */
import { type ChildProcess, type StdioOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packageVersion } from '../../../src/kernel/package-version.js';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { TARGET, UnixPair } from '../../e2e/unix/support.js';
import { request, TestDaemon } from '../../support/daemon.js';
import { wireLink } from '../../support/link.js';
import { Peer } from '../../support/peer-process.js';
import { childNamed, childrenOf, descendantsOf, endBy } from '../../support/processes.js';
import { isRoot } from '../../support/requirements.js';
import { eventually, pause } from '../../support/wait.js';

const RUNTIME = fileURLToPath(new URL('runtime.py', import.meta.url));
const IN_A_SHELL = ['sh', '-c', '"$@"; exit', 'sh'];

/** Than the second that they are given otherwise: what does not happen can only be waited for. */
const LONGER_MS = 1_500;

const isThere = (pid: number) => existsSync(`/proc/${pid}`);

describe.runIf(isRoot())('the daemon of a runtime', () => {
  let folder: string;
  let pvCtrl: string;
  let control: string;
  const started: ChildProcess[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pvx-end-'));
    pvCtrl = join(folder, 'pv-ctrl');
    control = join(folder, 'control.sock');
  });
  afterEach(async () => {
    for (const child of started.splice(0)) await endBy(child);
    rmSync(folder, { recursive: true });
  });

  /** Lines of a runtime that does these things, and the runtime. */
  function runtime(tasks: string, ...args: string[]) {
    const daemon = [`${PACKAGE_ROOT}/bin/pv-xconnect`, '--pv-ctrl', pvCtrl, '--control', control];
    const child = spawn('python3', [RUNTIME, pvCtrl, tasks, ...args, ...daemon], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    started.push(child);
    const peer = new Peer(child);
    return { child, pid: child.pid as number, line: () => peer.line() };
  }

  const health = () => request(control, '/health');
  const serves = () =>
    eventually(async () => {
      expect(await health()).toMatchObject({ status: 'ok', source: { failing: false } });
    });

  test.each([
    ['', []],
    [', through a shell of its', IN_A_SHELL],
  ])('ends with it when it is killed%s', async (_, shell) => {
    const { child, pid, line } = runtime('serve+start+tell', ...shell);
    await line();
    expect(await line()).toBe('asked'); // from here on the daemon knows whom it belongs to
    expect(descendantsOf(pid).length).toBe(4 + (shell.length > 0 ? 1 : 0));
    await endBy(child);
    await eventually(() => expect(existsSync(control)).toBe(false));
  });

  test('goes on where another process serves the socket, and that one is killed', async () => {
    const first = runtime('serve');
    await first.line();
    const launcher = runtime('start');
    const pid = Number(await launcher.line());
    await serves();
    await endBy(first.child);
    rmSync(pvCtrl);
    process.kill(pid, 'SIGHUP');
    await eventually(async () =>
      expect(await health()).toMatchObject({ source: { failing: true } }),
    );
    await runtime('serve').line();
    process.kill(pid, 'SIGHUP');
    await serves();
    await endBy(launcher.child);
    await serves(); // who started it is not its runtime
    process.kill(pid, 'SIGTERM');
    await eventually(() => expect(existsSync(control)).toBe(false));
  });

  test('whose launcher ended before it was seen ends, too', async () => {
    const { line } = runtime('serve+start', 'env', 'PVX_LAUNCHER=4000000');
    await line();
    expect(await line()).toBe('ended 1');
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'leaves no zombie to a process 1 that reaps nobody, at %s',
    async (signal) => {
      const { pid, line } = runtime('serve+start');
      const daemon = Number(await line());
      await serves();
      const children = childrenOf(daemon);
      process.kill(daemon, signal);
      expect(await line()).toBe('ended 0');
      expect([children.filter(isThere), childrenOf(pid)]).toEqual([[], []]);
      expect(existsSync(control)).toBe(false);
    },
  );

  test('leaves no zombie where its broker was killed, and ends', async () => {
    const { pid, line } = runtime('serve+start');
    const daemon = Number(await line());
    await serves();
    process.kill(childNamed(daemon, 'pvx-broker'), 'SIGKILL');
    expect(await line()).toBe('ended 1');
    expect(childrenOf(pid)).toEqual([]);
  });

  test('leaves no zombie where it can not start', async () => {
    const first = runtime('serve+start');
    await first.line();
    await serves();
    const second = runtime('start');
    await second.line();
    expect(await second.line()).toBe('ended 1');
    expect(childrenOf(second.pid)).toEqual([]);
    await serves();
  });
});

describe.runIf(isRoot())('the daemon that is told to end', () => {
  let pair: UnixPair;
  afterEach(() => pair.tearDown());

  /** With so many connections, which nobody ends. */
  async function start(connections: number, ...args: string[]): Promise<void> {
    pair = new UnixPair(['--drain', '3600', ...args]);
    await pair.setUp();
    await pair.serve('serve-hold');
    await pair.establish();
    await pair.start(pair.consumer, 'hold', TARGET, String(connections));
    await pair.daemon.untilActive(connections);
  }

  test('gives connections a second under a runtime, whatever a link is given that leaves', async () => {
    await start(3);
    expect(await pair.daemon.kill('SIGTERM')).toBe(0);
  });

  test('gives them what --stop-drain says', async () => {
    await start(1, '--stop-drain', '3600');
    const ended = pair.daemon.kill('SIGTERM');
    await eventually(() => expect(pair.daemon.log).toContain('"state":"draining"'));
    // It may not end in this time.
    expect(await Promise.race([ended, pause(LONGER_MS)])).toBeUndefined();
    pair.reset();
    expect(await ended).toBe(0);
  });
});

describe.runIf(isRoot())("the daemon's log", () => {
  test('is on standard output, and its warnings are on standard error', async () => {
    const daemon = new TestDaemon([]);
    try {
      await daemon.launch();
      daemon.set(wireLink());
      await eventually(() => expect(daemon.printed.stdout).toContain('"state":"waiting"'));
      process.kill(daemon.brokerPid, 'SIGKILL');
      await once(daemon.process as ChildProcess, 'close');
      expect(daemon.printed.stderr).toContain('pvx-broker is gone');
      expect(daemon.printed.stderr).toMatch(/^pv-xconnect: pvx-broker ended \(signal 9\): /m);
      expect(levelsOf(daemon.printed.stdout).filter((level) => level >= WARN)).toEqual([]);
      expect(levelsOf(daemon.printed.stderr).filter((level) => level < WARN)).toEqual([]);
    } finally {
      await daemon.stop();
    }
  });
});

describe.runIf(isRoot())("the daemon's log begins and ends with it", () => {
  test('and says where the graph comes from, where its socket is, and why it ends', async () => {
    const daemon = new TestDaemon([]);
    try {
      await daemon.launch();
      daemon.set(wireLink());
      await eventually(() => expect(daemon.log).toContain('"state":"waiting"'));
      process.kill(daemon.pid, 'SIGTERM');
      await once(daemon.process as ChildProcess, 'close');
      const lines = linesOf(daemon.printed.stdout);
      expect(lines[0]).toMatchObject({
        msg: 'pv-xconnect begins',
        ...{ version: packageVersion(), incarnation: 1 },
        ...{
          source: 'pv-ctrl',
          path: `${dirname(daemon.control)}/pv-ctrl`,
          control: daemon.control,
        },
      });
      expect(lines.at(-1)).toMatchObject({
        msg: 'pv-xconnect has ended',
        reason: 'it was told to end',
      });
      expect(lines.at(-2)).toMatchObject({ state: 'gone' });
    } finally {
      await daemon.stop();
    }
  });
});

describe("the supervisor's sentences", () => {
  test('have a priority where a journal reads them', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pvx-journal-'));
    const fd = openSync(join(folder, 'said'), 'w');
    const { dev, ino } = fstatSync(fd);
    const said = [`${dev}:${ino}`, `${dev}:${ino + 1}`, undefined].map((JOURNAL_STREAM) => {
      ftruncateSync(fd);
      const env = { ...process.env, JOURNAL_STREAM };
      const stdio: StdioOptions = ['ignore', 'ignore', fd];
      spawnSync(`${PACKAGE_ROOT}/bin/pv-xconnect`, ['--user', 'no-such-user'], { stdio, env });
      return readFileSync(join(folder, 'said'), 'utf8').replaceAll('\0', '');
    });
    closeSync(fd);
    rmSync(folder, { recursive: true });
    const sentence = expect.stringMatching(/^pv-xconnect: there is no user no-such-user in .*\n$/);
    expect(said).toEqual([expect.stringMatching(/^<4>pv-xconnect: /), sentence, sentence]);
  });
});

const WARN = 40; // as pino counts

/** Of the daemon's lines; its supervisor writes sentences. */
function linesOf(text: string): { readonly level: number }[] {
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line));
}

function levelsOf(text: string): number[] {
  return linesOf(text).map(({ level }) => level);
}
