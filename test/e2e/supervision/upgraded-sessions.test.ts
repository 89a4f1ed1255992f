/** What the daemon itself holds goes on across an upgrade: sessions that it reads, devices, nodes, the hosted bus. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { PYTHON } from '../../support/bus/bus.js';
import { usePair } from '../../support/container-pair.js';
import { has, isRoot } from '../../support/requirements.js';
import { standInBroker } from '../../support/stand-ins.js';
import { eventually } from '../../support/wait.js';
import { ASKER, DENIED, FOO, HostedMesh, hostedRevision, onBus } from '../hosted-bus/support.js';
import { EveryKind } from './every-kind.js';
import { alone, ended, leftAlone, upgrade, useBuilds, versionOf } from './support.js';

describe.runIf(isRoot() && has('dbus-daemon'))('across an upgrade', () => {
  const builds = useBuilds((folder) =>
    cpSync(standInBroker(), join(folder, 'build/Release/pvx-broker')),
  );
  const pair = usePair(new EveryKind([], builds.program));

  test('a session with a policy and an opened device stay, a node is the same, and a server says that it closes', async () => {
    const links = await pair.establishAll();
    const planted = await pair.planted(links);
    expect(planted).toContain('/dev/dri/card0 ');
    const read = links.filter(({ name }) => ['guarded', 'keys', 'rest', 'http'].includes(name));
    const traffic = await pair.startTraffic(read);
    await upgrade(builds, pair.daemon);
    for (const one of traffic) await one.goesOn();
    const summaries = await ended(traffic);
    expect(summaries.map((one) => one.ended.kept <= 1 && one.ended.new <= 1)).not.toContain(false);
    const keptOf = (name: string) =>
      summaries[read.findIndex((link) => link.name === name)]?.ended.kept;
    expect([keptOf('guarded'), keptOf('keys')]).toEqual([0, 0]); // for a minute
    await alone(pair.daemon);
    await pair.established(links);
    expect(await pair.planted(links)).toBe(planted);

    // The new version has taken the node over, and is the one that removes it.
    await pair.clear();
    const { code } = await pair.consumer.exec(['test', '-e', '/dev/dri/card0']);
    expect(code).toBe(1);
  }, 90_000);
});

describe.runIf(isRoot() && has('dbus-daemon') && has('dbus-send'))('the hosted bus', () => {
  const builds = useBuilds();
  const mesh = new HostedMesh({ program: builds.program });
  afterAll(() => mesh.stop());

  test('is the same across an upgrade, with all connections, and has what the new version makes of a revision', async () => {
    await mesh.start(hostedRevision([]));
    await mesh.established(2);
    const pids = [mesh.busPid, mesh.busProgramPid];
    const service = await mesh.serve('service', FOO);
    const asker = await mesh.talk('client', [PYTHON, '-c', ASKER]);
    expect(await asker.ask('one')).toBe(DENIED);
    await upgrade(builds, mesh.daemon);
    await leftAlone(mesh.daemon);
    expect(await asker.ask('two')).toBe(DENIED);
    await mesh.start({ ...hostedRevision(['operator']), 'third/run.json': onBus('newcomer') });
    await mesh.established(3);
    await eventually(async () => expect(await asker.ask('three')).toBe('three'));
    expect([mesh.busPid, mesh.busProgramPid]).toEqual(pids);
    expect(service.process.exitCode).toBeNull();
    expect((await versionOf(mesh.daemon)).version).toBe('0.1.1');
  }, 60_000);
});
