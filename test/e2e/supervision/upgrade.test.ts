/** Upgrades between two builds, under traffic and with clients of HTTP, and versions that do not come up. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ContainerPair, usePair } from '../../support/container-pair.js';
import type { TestDaemon } from '../../support/daemon.js';
import { wireLink } from '../../support/link.js';
import { countOpenFiles } from '../../support/open-files.js';
import { childrenOf } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { atRest, eventually } from '../../support/wait.js';
import { startNode } from '../http/providers.js';
import {
  alone,
  ended,
  killDaemon,
  type Program,
  programOf,
  SupervisedPair,
  upgrade as upgradeTo,
  useBuilds,
  versionOf,
} from './support.js';

const builds = useBuilds();
/** Datagrams count as a connection for a minute: the old relay is not to be waited for so long. */
const DRAIN_S = '10';
const daemon = { program: builds.program, env: { PV_XCONNECT_UPGRADE_DRAIN: DRAIN_S } };
const upgrade = (to: TestDaemon) => upgradeTo(builds, to);

describe.runIf(isRoot())('three upgrades in a row', () => {
  const pair = usePair(
    new SupervisedPair([], { containers: { net: true }, daemon: { program: builds.program } }),
  );

  test('cost no byte, no descriptor and no connection of what the relay serves alone', async () => {
    const links = await pair.establishAll();
    const planted = await pair.planted(links);
    const traffic = await pair.startTraffic(links);
    const { pid } = pair.daemon;
    let before = await pair.totals();
    for (let round = 0; round < 3; round++) {
      await upgrade(pair.daemon);
      await pair.established(links);
      for (const one of traffic) await one.goesOn();
      before = await pair.totals(before);
    }
    const summaries = await ended(traffic);
    const longest = Math.max(...summaries.map((one) => one.longest));
    console.info(`the longest that a new client waited: ${longest} ms`);
    expect(await pair.planted(links)).toBe(planted);
    expect(pair.daemon.pid).toBe(pid);
  }, 120_000);
});

describe.runIf(isRoot())('an upgrade', () => {
  const pair = usePair(new SupervisedPair([], { containers: { net: true }, daemon }));
  afterEach(() => pair.clear());

  test('leaves nothing behind once the old processes have ended', async () => {
    await pair.establishAll();
    const { pid } = pair.daemon;
    const open = () =>
      [pid, ...(['pvx-broker', 'pvx-relay', 'node'] as const).map((name) => pair.child(name))]
        .map(countOpenFiles)
        .join();
    await upgrade(pair.daemon);
    await alone(pair.daemon);
    const before = await atRest(open);
    await upgrade(pair.daemon);
    await alone(pair.daemon);
    await upgrade(pair.daemon);
    await alone(pair.daemon);
    expect(await atRest(open)).toBe(before);
  }, 120_000);

  test('ends what the graph lost meanwhile, and everything at the end', async () => {
    const links = await pair.establishAll();
    await upgrade(pair.daemon);
    await alone(pair.daemon);
    const [gone, ...kept] = links;
    pair.daemon.set(...kept);
    await pair.established(kept);
    const there = async (path: string) =>
      (await pair.consumer.exec(['test', '-e', path])).code === 0;
    expect(await there(gone?.target as string)).toBe(false);
    await pair.daemon.clear();
    for (const { target } of kept) expect(await there(target)).toBe(false);
  }, 60_000);
});

describe.runIf(isRoot())('a version that does not come up', () => {
  const pair = usePair(new SupervisedPair([], { containers: { net: true }, daemon }));
  afterEach(async () => {
    await pair.clear();
    builds.install('0.1.0');
  });
  beforeAll(() => {
    builds.add('0.2.0', (folder) => {
      const main = join(folder, 'dist/bundle/daemon.cjs');
      writeFileSync(main, `throw new Error('a bug');\n${readFileSync(main, 'utf8')}`);
    });
    builds.add('0.2.1', (folder) => {
      const relay = join(folder, 'build/Release/pvx-relay');
      rmSync(relay);
      writeFileSync(relay, '#!/bin/sh\nexit 3\n', { mode: 0o755 });
    });
  });

  test.each(['0.2.0', '0.2.1'])(
    'is given up, and the old one goes on and says why: %s',
    async (bad) => {
      const links = await pair.establishAll();
      const traffic = await pair.startTraffic(links);
      const before = childrenOf(pair.daemon.pid);
      const { version, incarnation } = await versionOf(pair.daemon);
      const { code, stdout, stderr } = await builds.upgrade(bad, pair.daemon.control);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(new RegExp(`^pv-xconnect: ${version} goes on: .*ended.*\\n$`));
      expect(await versionOf(pair.daemon)).toMatchObject({ version, incarnation });
      await eventually(() => expect(childrenOf(pair.daemon.pid)).toEqual(before));
      for (const one of traffic) await one.goesOn();
      const more = pair.link({
        name: 'more',
        socket: '/run/example/more.sock',
        target: '/run/more.sock',
      });
      await pair.serveAt(more.socket);
      pair.daemon.set(...links, more);
      await pair.established([...links, more]);
      await ended(traffic);
    },
    60_000,
  );
});

describe.runIf(isRoot())('a process that is killed in an upgrade', () => {
  const pair = usePair(new SupervisedPair([], { containers: { net: true }, daemon }));
  afterEach(() => pair.clear());

  /** The pid of a second process of that name, which is of the new version. */
  const another = (program: Program, first: number) =>
    eventually(() => {
      const pid = childrenOf(pair.daemon.pid).find(
        (child) => child !== first && programOf(child) === program,
      );
      expect(pid).toBeDefined();
      return pid as number;
    });

  test.each<[string, Program, 'old' | 'new']>([
    ['the old relay', 'pvx-relay', 'old'],
    ['the old daemon', 'node', 'old'],
    ['the new daemon', 'node', 'new'],
  ])(
    '%s: every link is served afterwards, by one version',
    async (_what, program, which) => {
      const links = await pair.establishAll();
      const old = pair.child(program);
      const { version } = await versionOf(pair.daemon);
      const next = version === '0.1.0' ? '0.1.1' : '0.1.0';
      const upgrading = builds.upgrade(next, pair.daemon.control);
      const fresh = await another(program, old);
      process.kill(which === 'old' ? old : fresh, 'SIGKILL');
      await upgrading;
      await alone(pair.daemon);
      await pair.established(links);
      const traffic = await pair.startTraffic(links);
      for (const one of traffic) await one.goesOn();
      await ended(traffic);
      await upgrade(pair.daemon);
      await alone(pair.daemon);
    },
    60_000,
  );

  test('after it: the old relay takes its own connections along, and no others', async () => {
    const links = await pair.establishAll();
    const kept = await pair.startTraffic(links);
    const old = pair.child('pvx-relay');
    await upgrade(pair.daemon);
    const fresh = await pair.startTraffic(links);
    process.kill(old, 'SIGKILL');
    await Promise.all(kept.map((one) => one.end()));
    for (const one of fresh) await one.goesOn();
    await ended(fresh);
    await alone(pair.daemon);
  }, 60_000);

  test('after it: the new daemon has a successor, which serves what it served', async () => {
    const links = await pair.establishAll();
    const traffic = await pair.startTraffic(links);
    await upgrade(pair.daemon);
    await killDaemon(
      pair.daemon,
      links.map(({ name }) => name),
    );
    for (const one of traffic) await one.goesOn();
    await ended(traffic);
    await alone(pair.daemon);
  }, 60_000);
});

/** A program to its end; all that it printed. Rejects where it fails. */
function output([program = '', ...args]: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${program}: ${text}`));
    });
  });
}

describe.runIf(isRoot() && has('h2load') && has('wrk') && has('socat'))('clients of HTTP', () => {
  const SOCKET = '/run/web/api.sock';
  const [PLAIN, SECURE, BRIDGE] = [18_181, 18_443, 18_182];
  const certificates = mkdtempSync(join(tmpdir(), 'pvx-certificates-'));
  chmodSync(certificates, 0o755);
  const pair = usePair(
    new ContainerPair({
      args: ['--patience', '5', '--certificates', certificates],
      containers: { net: true },
      daemon,
    }),
  );
  beforeAll(async () => {
    const [key, cert] = [join(certificates, 'a.key'), join(certificates, 'a.pem')];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-subj', '/CN=localhost'];
    execFileSync('openssl', ['req', '-x509', '-nodes', ...kind, '-keyout', key, '-out', cert], {
      stdio: 'pipe',
    });
    const web = { name: 'api', provider_pid: pair.provider.pid, socket: SOCKET };
    const outside = { ...web, ...{ consumer: 'EXTERNAL', type: 'http', interface: 'http' } };
    const tls = { cert: 'a.pem', key: 'a.key' };
    const links = [
      pair.link({ ...web, ...{ type: 'rest', interface: 'rest', target: '/run/api.sock' } }),
      wireLink({ ...outside, ...{ name: 'plain', target: `127.0.0.1:${PLAIN}` } }),
      wireLink({
        ...outside,
        ...{ name: 'secure', target: `127.0.0.1:${SECURE}`, host: 'localhost', http: { tls } },
      }),
    ];
    const server = startNode(pair.provider, { socket: SOCKET }, 'here');
    running.push(server);
    server.stdout?.resume();
    server.stderr?.resume();
    pair.daemon.set(...links);
    await pair.daemon.until({ api: 'established', plain: 'established', secure: 'established' });
    const from = `TCP-LISTEN:${BRIDGE},bind=127.0.0.1,fork,reuseaddr,backlog=64`;
    const bridge = spawn('socat', [from, `UNIX-CONNECT:${pair.consumer.rootDir}/run/api.sock`]);
    running.push(bridge);
  });
  const running: ChildProcess[] = [];
  afterAll(() => {
    for (const child of running) child.kill('SIGKILL');
    rmSync(certificates, { recursive: true, force: true });
  });

  const h2load = (...argv: string[]) => ['h2load', '-c', '4', '-D', '6', ...argv];
  const none = /(?:requests: .* 0 failed, 0 errored, 0 timeout)/;
  test.each<[string, readonly string[], RegExp]>([
    ['h2load, HTTP/2', h2load('-m', '4', `https://localhost:${SECURE}/`), none],
    [
      'h2load, HTTP/2, one request at a time',
      h2load('-m', '1', `https://localhost:${SECURE}/`),
      none,
    ],
    ['h2load, HTTP/1.1', h2load('--h1', `http://127.0.0.1:${PLAIN}/`), none],
    ['wrk, http', ['wrk', '-c', '8', '-t', '1', '-d', '6', `http://127.0.0.1:${PLAIN}/`], /^/],
    ['wrk, rest', ['wrk', '-c', '8', '-t', '1', '-d', '6', `http://127.0.0.1:${BRIDGE}/`], /^/],
  ])(
    '%s: no request fails while the daemon is replaced',
    async (_what, argv, wanted) => {
      const loading = output(argv);
      await busy(pair.daemon);
      await upgrade(pair.daemon);
      const text = await loading;
      expect(text).toMatch(wanted);
      expect(text).not.toMatch(/Socket errors|Non-2xx/);
      expect(text).toMatch(/[1-9]\d* (?:2xx|requests in)/);
      await alone(pair.daemon, 90_000);
    },
    120_000,
  );

  /** Waits until requests are answered. */
  async function busy(to: TestDaemon): Promise<void> {
    const sum = async () =>
      (await to.shown()).reduce((total, { bytes }) => total + bytes.to_provider, 0);
    const before = await sum();
    await eventually(async () => expect(await sum()).toBeGreaterThan(before + 10_000));
  }
});
