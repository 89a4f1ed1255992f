/**
 * Any device operations in any order, many at once, with whatever descriptors: the broker stays, answers each, and has
 * nothing open once all is taken back. Devices are stand-ins (test/support/stand-ins.ts).
 */
import { closeSync, constants, openSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { Granted } from '../../../src/broker/device-operations.js';
import { HOST } from '../../../src/broker/protocol.js';
import { startBroker, type TestBroker } from '../../support/broker.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { countOpenAtRest, countOpenFiles } from '../../support/open-files.js';
import { fc, property } from '../../support/property.js';
import { IoctlRecord, standInBroker } from '../../support/stand-ins.js';
import { eventually } from '../../support/wait.js';

const O_PATH = 0o10000000;
/** Devices that stand in, devices that do not, and what is none. */
const GIVEN = [
  '/dev/null',
  '/dev/zero',
  '/dev/full',
  '/dev/net/tun',
  '/dev/ptmx',
  '/',
  '/etc/passwd',
];
const FOUND = [...GIVEN, '/dev/dri/card0', '/proc/self/fd/0', '/nothing', '/run'];
const PLANTED = ['/run/a', '/run/b/c', '/dev/null', '/', '/proc/x', '/run/a/b'];

const kind = fc.constantFrom('drm' as const, 'input' as const);
const given = fc.record({
  path: fc.constantFrom(...GIVEN),
  flags: fc.constantFrom(O_PATH, constants.O_RDONLY | constants.O_NONBLOCK),
});
const handle = fc.oneof(fc.nat(0xffff), fc.nat(0x7fff_ffff));
const step = fc.oneof(
  fc.record({ op: fc.constant('find' as const), kind, path: fc.constantFrom(...FOUND) }),
  fc.record({
    op: fc.constant('open' as const),
    kind,
    given,
    readOnly: fc.boolean(),
    master: fc.boolean(),
  }),
  fc.record({ op: fc.constant('card' as const), given }),
  fc.record({
    op: fc.constant('lease' as const),
    given,
    objects: fc.array(fc.oneof(fc.constantFrom(41, 42, 51, 52, 53), handle), { maxLength: 8 }),
  }),
  fc.record({
    op: fc.constant('plant' as const),
    kind,
    given,
    path: fc.constantFrom(...PLANTED),
    owner: handle,
  }),
  fc.record({ op: fc.constant('revoke' as const), grant: handle }),
  fc.record({ op: fc.constant('take back' as const), which: fc.nat(20) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

describe('pvx-broker and devices of all sorts', () => {
  const record = new IoctlRecord();
  let host: TestBroker;
  let container: TestContainer;
  let held = 0;
  const both = () => [host.brokerProcess.pid as number, process.pid];

  beforeAll(async () => {
    host = await startBroker({ broker: standInBroker(), env: record.env });
    container = await startContainer({ name: 'victim' });
    const holding = await host.broker.hold(container.pid, 0);
    if (!holding.ok) throw new Error(holding.errno);
    closeSync(holding.value.pidfd);
    held = holding.value.handle;
  });
  afterAll(async () => {
    await host?.stop();
    await container?.kill();
    record.remove();
  });

  class Run {
    readonly #granted: Granted[] = [];
    readonly #plants: number[] = [];

    async take(one: Step): Promise<void> {
      const { devices } = host.broker;
      if (one.op === 'find') {
        const found = await devices.find(HOST, one.kind, one.path);
        if (found.ok) closeSync(found.value.fd);
      } else if (one.op === 'open') {
        this.#keep(await devices.open(one.kind, one, fileOf(one.given)));
      } else if (one.op === 'card') {
        await devices.readCard(fileOf(one.given));
      } else if (one.op === 'lease') {
        this.#keep(await devices.lease(one.objects, fileOf(one.given)));
      } else if (one.op === 'plant') {
        const { kind: type, path, owner } = one;
        const planted = await devices.plant(held, type, path, owner, owner, fileOf(one.given));
        if (planted.ok && planted.value !== 0) this.#plants.push(planted.value);
      } else if (one.op === 'revoke') {
        await devices.revoke(one.grant);
      } else {
        await this.#takeBack(this.#granted.splice(one.which, 1));
      }
    }

    async end(): Promise<void> {
      await this.#takeBack(this.#granted.splice(0));
      for (const plant of this.#plants) await host.broker.remove(plant);
    }

    #keep(answer: { ok: true; value: Granted } | { ok: false }): void {
      if (answer.ok) this.#granted.push(answer.value);
    }

    async #takeBack(all: readonly Granted[]): Promise<void> {
      for (const { fd, grant } of all) {
        closeSync(fd);
        if (grant !== 0) await host.broker.devices.revoke(grant);
      }
    }
  }

  const fileOf = ({ path, flags }: { path: string; flags: number }) => openSync(path, flags);

  property('keeps nothing, whatever was asked', async (holds) => {
    const before = await Promise.all(both().map(countOpenAtRest));
    await holds(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const run = new Run();
        await Promise.all(steps.map((one) => run.take(one)));
        await run.end();
        expect(host.brokerProcess.exitCode).toBeNull();
        await eventually(() => expect(both().map(countOpenFiles)).toEqual(before));
        expect((await host.broker.probeUnix(held, '/nothing')).ok).toBe(false);
      }),
      // Whoever looks for a smaller example waits for each in vain, until the test's time is over.
      { runs: 60, endOnFailure: true },
    );
    const { stdout } = await container.exec(['find', '/run', '!', '-type', 'd']);
    expect(stdout).toBe('');
  });
});
