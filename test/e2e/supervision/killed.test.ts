/**
 * What the death of one process costs, under checked traffic. PVX_KILLS says how often each is killed, to try it for
 * longer.
 */
import { afterEach, describe, expect, test } from 'vitest';
import type { WireLink } from '../../support/link.js';
import { countOpenFiles } from '../../support/open-files.js';
import { isRoot } from '../../support/requirements.js';
import { atRest } from '../../support/wait.js';
import { useSupervisedPair } from './support.js';

const KILLS = Number(process.env.PVX_KILLS ?? 4);
const LONG_MS = 60_000 + KILLS * 5_000;

describe.runIf(isRoot())('a daemon that is killed', () => {
  const pair = useSupervisedPair();
  afterEach(() => pair.clear());

  test(
    'costs no byte, no descriptor and no connection of what the relay serves alone',
    async () => {
      const links = await pair.establishAll();
      const traffic = await pair.startTraffic(links);
      const planted = await pair.planted(links);
      const [supervisor, relay, broker] = [
        pair.daemon.pid,
        pair.child('pvx-relay'),
        pair.child('pvx-broker'),
      ];
      let before = await pair.totals();
      for (let kill = 0; kill < KILLS; kill++) {
        await pair.kill('node', links);
        for (const one of traffic) await one.goesOn();
        before = await pair.totals(before);
      }
      const summaries = await Promise.all(traffic.map((one) => one.end()));
      expect(summaries.flatMap(({ faults }) => faults)).toEqual([]);
      expect(await pair.planted(links)).toBe(planted);
      expect([pair.daemon.pid, pair.child('pvx-relay'), pair.child('pvx-broker')]).toEqual([
        supervisor,
        relay,
        broker,
      ]);
      const longest = summaries.map((one) => one.longest);
      console.info(`the longest that a new client waited: ${Math.max(...longest)} ms`);
    },
    LONG_MS,
  );

  test(
    'leaves nothing open in broker and relay',
    async () => {
      const links = await pair.establishAll();
      await pair.kill('node', links); // what is opened once is open from here on
      const open = () =>
        ['pvx-broker', 'pvx-relay'].map((name) => countOpenFiles(pair.child(name as 'pvx-relay')));
      const before = await atRest(() => String(open()));
      for (let kill = 0; kill < KILLS; kill++) await pair.kill('node', links);
      expect(await atRest(() => String(open()))).toBe(before);
    },
    LONG_MS,
  );

  test('has a successor that ends what the graph no longer has', async () => {
    const links = await pair.establishAll();
    const [gone, ...kept] = links;
    pair.daemon.graph = kept;
    await pair.kill('node', kept);
    const stat = await pair.consumer.exec(['test', '-e', gone?.target as string]);
    expect(stat.code).toBe(1);
  });
});

describe.runIf(isRoot())('a daemon that is killed while a link drains', () => {
  const pair = useSupervisedPair('--drain', '60');
  afterEach(() => pair.clear());

  test('has a successor that tells a link that drains from the one that came in its place', async () => {
    const links = await pair.establishAll();
    const [back, ...others] = links as [WireLink, ...WireLink[]];
    const [drained] = await pair.startTraffic([back]);
    pair.daemon.set(...others);
    const established = Object.fromEntries(links.map(({ name }) => [name, 'established']));
    await pair.daemon.until({ ...established, [back.name]: 'draining' });
    pair.daemon.set(...links);
    await pair.daemon.until(established);
    const [traffic] = await pair.startTraffic([back]);
    await pair.kill('node', links);
    await traffic?.goesOn();
    expect((await traffic?.end())?.faults).toEqual([]);
    const faults = (await drained?.end())?.faults;
    expect(faults?.filter((fault) => !fault.startsWith('come_and_go'))).toEqual([]);
  });
});

describe.runIf(isRoot())('a relay that is killed', () => {
  const pair = useSupervisedPair();
  afterEach(() => pair.clear());

  test(
    'is there again with every link; nothing else has to be mended',
    async () => {
      const links = await pair.establishAll();
      for (let kill = 0; kill < KILLS; kill++) {
        await pair.kill('pvx-relay', links);
        const traffic = await pair.startTraffic(links);
        const summaries = await Promise.all(traffic.map((one) => one.end()));
        expect(summaries.flatMap(({ faults }) => faults)).toEqual([]);
      }
    },
    LONG_MS,
  );
});
