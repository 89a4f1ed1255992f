/**
 * What the death of a process costs, under checked traffic on links of every kind. PVX_KILLS says how often each is
 * killed, to try it for longer; the moments are random then, of a fixed seed.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { usePair } from '../../support/container-pair.js';
import type { WireLink } from '../../support/link.js';
import { countOpenFiles, openFiles } from '../../support/open-files.js';
import { childrenOf, statusOf } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { atRest, eventually, pause } from '../../support/wait.js';
import { EveryKind } from './every-kind.js';
import { ended, numbers, type Summary, type Traffic } from './support.js';

const IS_SOAK = process.env.PVX_KILLS !== undefined;
const KILLS = Number(process.env.PVX_KILLS ?? 2);
/** Up to so many milliseconds go by between two kills: a child that was ready for 5 s is started again at once. */
const BETWEEN_MS = IS_SOAK ? 6_000 : 0;
/** Seconds between two rounds of one client: all of them share few processors. */
const PAUSE_S = 0.02;
/** A relay keeps so many that it has spliced through (native/relay/pipe.c). */
const PIPES_KEPT = 4;
const LONG_MS = 120_000 + KILLS * 15_000;

describe.runIf(isRoot() && has('dbus-daemon'))('a process that is killed again and again', () => {
  const pair = usePair(new EveryKind([]));
  const random = numbers(20_261_130);
  afterEach(() => pair.clear());

  const programs = ['pvx-broker', 'pvx-relay', 'node'] as const;
  /** What could leak, once nothing is under way. */
  const held = () =>
    atRest(() => {
      const pids = [pair.daemon.pid, pair.child('pvx-broker'), pair.child('node')];
      const { pipes, others } = ofRelay();
      expect(pipes).toBeLessThanOrEqual(2 * PIPES_KEPT);
      const processes = childrenOf(pair.daemon.pid).length;
      return `${[...pids.map(countOpenFiles), others]} of ${processes} processes`;
    });
  const ofRelay = () => {
    const files = openFiles(pair.child('pvx-relay'));
    const pipes = files.filter(({ target }) => target.startsWith('pipe:')).length;
    return { pipes, others: files.length - pipes };
  };
  /** Clients of datagrams and idle connections to servers of HTTP are there for a minute more. */
  async function expectNothingHeld(before: string): Promise<void> {
    if (!IS_SOAK) return;
    await eventually(async () => expect(await held()).toBe(before), { timeoutMs: 90_000 });
  }
  const memory = () =>
    Object.fromEntries(
      programs.map((name) => [name, statusOf(pair.child(name))('VmRSS')?.replace(/\s+/, '')]),
    );
  const inConsumer = async (script: string) =>
    (await pair.consumer.exec(['sh', '-c', script])).stdout.trim();
  /** Sockets, mounts and files. */
  const made = () => inConsumer('ls /run /run/pv/services /dev/dri; grep -c . /proc/mounts');

  function report(what: string, traffic: readonly Traffic[], summaries: readonly Summary[]): void {
    const lines = summaries.map(
      ({ rounds, ended: over, longest }, i) =>
        `${traffic[i]?.name}: ${rounds.kept} + ${rounds.new} rounds, ${over.kept} + ${over.new} ends, new ≤ ${longest} ms`,
    );
    console.info([what, ...lines].join('\n  '));
  }

  const flowing = (links: readonly WireLink[]) => links.filter(({ name }) => name !== 'node');

  test(
    'the daemon: nothing of what the relay serves alone is lost, and the rest is served again',
    async () => {
      const links = await pair.establishAll();
      const traffic = await pair.startTraffic(flowing(links), false, PAUSE_S);
      const planted = await pair.planted(links);
      const others = [pair.daemon.pid, pair.child('pvx-relay'), pair.child('pvx-broker')];
      await pair.kill('node', links); // what is opened once is open from here on
      let totals = await pair.totals();
      const before = memory();
      for (let kill = 0; kill < KILLS; kill++) {
        await pause(random() * BETWEEN_MS); // any moment is one to be killed at
        await pair.kill('node', links);
        for (const one of traffic) await one.goesOn();
        totals = await pair.totals(totals);
      }
      const summaries = await ended(traffic);
      report(`${KILLS} killed daemons`, traffic, summaries);
      console.info(before, memory());
      expect(await pair.planted(links)).toBe(planted);
      expect([pair.daemon.pid, pair.child('pvx-relay'), pair.child('pvx-broker')]).toEqual(others);
    },
    LONG_MS,
  );

  test(
    'the relay: every link is there again, and nothing is left over',
    async () => {
      const links = await pair.establishAll();
      const [before, things] = [await held(), await made()];
      const traffic = await pair.startTraffic(flowing(links), true, PAUSE_S);
      const back: number[] = [];
      for (let kill = 0; kill < KILLS; kill++) {
        await pause(random() * BETWEEN_MS);
        const from = Date.now();
        await pair.kill('pvx-relay', links);
        back.push(Date.now() - from);
        for (const one of traffic) await one.goesOn();
      }
      report(`${KILLS} killed relays`, traffic, await ended(traffic));
      console.info(
        `all links were back after ${back.sort((a, b) => a - b).join(', ')} ms`,
        memory(),
      );
      expect(await made()).toBe(things);
      await expectNothingHeld(before);
    },
    LONG_MS,
  );

  test(
    'the broker, or all of it: whoever starts it again has every link, and nothing is left over',
    async () => {
      const links = await pair.establishAll();
      const [before, things] = [await held(), await made()];
      for (let kill = 0; kill < KILLS; kill++) {
        await pause(random() * (BETWEEN_MS / 6));
        const over = pair.daemon.exited();
        process.kill(random() < 0.5 ? pair.child('pvx-broker') : pair.daemon.pid, 'SIGKILL');
        await over;
        await pair.daemon.launch();
        await pair.established(links);
      }
      const traffic = await pair.startTraffic(flowing(links));
      for (const one of traffic) await one.goesOn();
      await ended(traffic);
      expect(await made()).toBe(things);
      await expectNothingHeld(before);
    },
    LONG_MS,
  );
});
