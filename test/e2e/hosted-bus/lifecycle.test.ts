/** The hosted bus while things happen around it: kills, restarts, other revisions. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PYTHON } from '../../support/bus/bus.js';
import { childNamed } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { requires, services } from '../../unit/manifest/scratch.js';
import { ASKER, DENIED, FOO, HostedMesh, hostedRevision, onBus } from './support.js';

const ECHO = 'org.example.Test.Echo';

describe.runIf(isRoot() && has('dbus-daemon') && has('dbus-send'))('the hosted bus', () => {
  let mesh: HostedMesh;
  beforeEach(() => {
    mesh = new HostedMesh();
  });
  afterEach(() => mesh.stop());

  const echo = (container = 'client') => mesh.call(container, FOO, ECHO, 'string:hi');

  test('of a changed revision is reloaded: no connection is lost, and rights are the new ones at once', async () => {
    await mesh.start(hostedRevision([]));
    await mesh.established(2);
    const pid = mesh.busPid;
    const service = await mesh.serve('service', FOO);
    const asker = await mesh.talk('client', [PYTHON, '-c', ASKER]);
    expect(await asker.ask('one')).toBe(DENIED);
    await mesh.start(hostedRevision(['operator']));
    await eventually(async () => expect(await asker.ask('two')).toBe('two'));
    await mesh.start({ ...hostedRevision(['operator']), 'third/run.json': onBus('newcomer') });
    await mesh.established(3);
    expect((await echo('third')).out).toContain(DENIED);
    expect(await asker.ask('three')).toBe('three');
    await mesh.start(hostedRevision([]));
    await eventually(async () => expect(await asker.ask('four')).toBe(DENIED));
    expect(mesh.busPid).toBe(pid);
    expect(service.process.exitCode).toBeNull();
    const [client] = (await mesh.daemon.shown()).filter(({ consumer }) => consumer === 'client');
    expect(client?.connections).toEqual({ active: 1, total: 1 });
  });

  test('that is killed comes back, and its links with it', async () => {
    await mesh.start(hostedRevision(['operator']));
    await mesh.established(2);
    await mesh.serve('service', FOO);
    expect((await echo()).out).toBe('hi');
    const pid = mesh.busPid;
    process.kill(pid, 'SIGKILL');
    await eventually(() => expect([0, pid]).not.toContain(mesh.busPid));
    // A client that comes meanwhile waits for it.
    expect(
      (await mesh.call('client', 'org.freedesktop.DBus', 'org.freedesktop.DBus.GetId')).code,
    ).toBe(0);
    await mesh.serve('service', FOO);
    expect((await echo()).out).toBe('hi');
    await mesh.established(2);
    expect(mesh.daemon.log).toContain('signal 9');
  });

  test('keeps the uids of roles over restarts of the daemon, and of everything', async () => {
    await mesh.start(hostedRevision(['operator']));
    await mesh.established(2);
    const before = mesh.uids();
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const bus = mesh.busPid;
      const exited = mesh.daemon.exited();
      process.kill(mesh.daemon.pid, signal);
      await exited;
      await eventually(() => expect(() => process.kill(bus, 0)).toThrow('ESRCH'));
      mesh.write({ 'aaa/run.json': onBus('aaa') }); // first in every order
      await mesh.daemon.launch();
      await mesh.established(2);
      await mesh.serve('service', FOO);
      const { out } = await mesh.call('client', FOO, 'org.example.Test.WhoAmI');
      expect(out).toContain(String(before.operator));
      expect(mesh.uids()).toEqual({ ...before, aaa: 200_002 });
      mesh.reset();
    }
  });

  test('whose program is killed is there again, with its users and rules, and the daemon goes on', async () => {
    await mesh.start(hostedRevision(['operator']));
    await mesh.established(2);
    const daemon = childNamed(mesh.daemon.pid, 'node');
    const program = mesh.busProgramPid;
    process.kill(program, 'SIGKILL');
    await eventually(() => {
      expect([0, program]).not.toContain(mesh.busProgramPid);
      expect(mesh.busPid).not.toBe(0);
    });
    await mesh.established(2);
    await mesh.serve('service', FOO);
    expect((await echo()).out).toBe('hi');
    expect(childNamed(mesh.daemon.pid, 'node')).toBe(daemon);
  });

  test('begins when a revision first has a use for it, and nobody else is disturbed by that', async () => {
    await mesh.start({ 'client/run.json': requires() });
    expect(mesh.busPid).toBe(0);
    await mesh.start(hostedRevision(['operator']));
    await mesh.established(2);
    await mesh.serve('service', FOO);
    expect((await echo()).out).toBe('hi');
  });

  test('without a runtime tells who calls a name that is started on demand that nobody can start it', async () => {
    const files = hostedRevision(['operator']);
    const [owner] = files['service/services.json'].services as object[];
    const onDemand = services({ ...owner, activation: { mode: 'on-demand' } });
    await mesh.start({ ...files, 'service/services.json': onDemand });
    await mesh.established(2);
    expect((await echo()).out).toMatch(/Spawn.Failed: org.example.Foo .* no runtime here/);
    await mesh.serve('service', FOO);
    expect((await echo()).out).toBe('hi');
  });

  test('is not there for a revision whose container has its own', async () => {
    const own = [{ name: 'system-bus', type: 'dbus', socket: '/run/own/bus' }];
    await mesh.start({ 'service/services.json': own, 'client/run.json': onBus('root') });
    await eventually(async () => {
      expect(await mesh.daemon.shown()).toMatchObject([{ provider: 'service', state: 'waiting' }]);
    });
    expect(mesh.busPid).toBe(0);
  });
});
