/** What the successor of a killed daemon ends and what it leaves; what a kill costs is in soak.test.ts. */
import { afterEach, describe, expect, test } from 'vitest';
import type { WireLink } from '../../support/link.js';
import { isRoot } from '../../support/requirements.js';
import { useSupervisedPair } from './support.js';

describe.runIf(isRoot())('a daemon that is killed', () => {
  const pair = useSupervisedPair();
  afterEach(() => pair.clear());

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
    await pair.established(links);
    const [traffic] = await pair.startTraffic([back]);
    await pair.kill('node', links);
    await traffic?.goesOn();
    expect((await traffic?.end())?.faults).toEqual([]);
    const faults = (await drained?.end())?.faults;
    expect(faults?.filter((fault) => !fault.startsWith('come_and_go'))).toEqual([]);
  });
});
