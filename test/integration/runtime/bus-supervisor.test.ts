import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { busPlaces } from '../../../src/bus/program.js';
import { BusSupervisor } from '../../../src/runtime/bus-supervisor.js';
import { childrenOf } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { revisionFrom, services } from '../../unit/manifest/scratch.js';

const REVISION = {
  'owner/services.json': services({ type: 'dbus', owns: 'org.example.A', role: 'owner' }),
};

describe.runIf(isRoot() && has('dbus-daemon'))('the supervisor of the hosted bus', () => {
  let folder: string;
  let said: string[];
  let bus: BusSupervisor;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pvx-bus-'));
    said = [];
    const places = busPlaces(join(folder, 'control.sock'), join(folder, 'storage'));
    bus = new BusSupervisor(places, { first: 200_000, last: 200_999 }, (line) => said.push(line));
    await bus.host(revisionFrom(REVISION));
    await eventually(() => expect(said.join()).toContain('the hosted system bus listens'));
  });
  afterEach(async () => {
    await bus.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('has it back after it was killed', async () => {
    const { pid } = bus;
    process.kill(pid, 'SIGKILL');
    await eventually(() => expect([0, pid]).not.toContain(bus.pid));
    expect(said).toContain(
      'pvx-bus ended, and the hosted bus with it; it is started again at once.',
    );
    expect(bus.hosted).toMatchObject({ uids: expect.any(Map) });
  });

  test('ends a pvx-bus that hangs, and the bus with it', async () => {
    const { pid } = bus;
    const [daemon = 0] = childrenOf(pid);
    expect(daemon).toBeGreaterThan(0);
    process.kill(pid, 'SIGSTOP');
    await bus.close();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    await eventually(() => expect(() => process.kill(daemon, 0)).toThrow('ESRCH'));
  });
});
