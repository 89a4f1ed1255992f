/** The daemon under a runtime with the habits of a real device's: slow, sparing with pids, and not ours to correct. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startContainer, type TestContainer } from '../../support/container.js';
import { type WireLink, wireLink } from '../../support/link.js';
import { isRoot } from '../../support/requirements.js';
import { DropIn, unnamed } from '../../support/stand-ins/runtime.js';
import { eventually, pause } from '../../support/wait.js';

/** Of the runtime: without them a link was 5 s late, with them it is not. */
const SOON_MS = 2_500;
const LISTEN = 'import socket; s = socket.socket(1); s.bind("/run/raw.sock"); s.listen(); input()';

describe.runIf(isRoot())("under a device's runtime", () => {
  let consumer: TestContainer;
  let provider: TestContainer;
  let runtime: DropIn;

  beforeAll(async () => {
    runtime = new DropIn([], { silent: true, respawn: 0.2 });
    [consumer, provider] = (await Promise.all(
      ['consumer', 'provider'].map((name) => startContainer({ name })),
    )) as [TestContainer, TestContainer];
    provider.run(['python3', '-c', LISTEN]);
    await runtime.launch();
  });
  afterAll(async () => {
    await runtime?.stop();
    await Promise.all([consumer?.kill(), provider?.kill()]);
  });

  function link(fields: Partial<WireLink> = {}): WireLink {
    const pids = { consumer_pid: consumer.pid, provider_pid: provider.pid };
    return wireLink({ ...pids, socket: '/run/raw.sock', ...fields });
  }

  const looks = () =>
    runtime.asked.filter(({ request }) => request === 'GET /xconnect-graph').length;

  test('links stand soon after their pids are served, however long it took to answer', async () => {
    await pause(1_000); // how slowly it answers is what is tried: it accepts, and says nothing
    runtime.serve(...unnamed([link()]));
    runtime.tell({ silent: false });
    await runtime.until({ raw: 'waiting' });
    const before = looks();
    await eventually(() => expect(looks()).toBeGreaterThan(before + 2));
    runtime.serve(link());
    const served = performance.now();
    await runtime.until({ raw: 'established' });
    expect(performance.now() - served).toBeLessThan(SOON_MS);
  });

  test('it is told the status once, as it has no such thing', async () => {
    await eventually(() => expect(runtime.statuses()).toHaveLength(1));
    runtime.set();
    await runtime.until({});
    runtime.set(link());
    await runtime.until({ raw: 'established' });
    const before = looks();
    await eventually(() => expect(looks()).toBeGreaterThan(before + 2));
    expect(runtime.statuses()).toHaveLength(1);
  });

  test('what it says of bus names between its links takes no link out', async () => {
    const names: unknown[] = [
      { activatable: 'org.example.A', socket: '/run/bus' },
      { consumes: 'org.example.B', consumer: 'consumer' },
    ];
    runtime.tell({ graph: [names[0], link({ role: '7' }), names[1]] });
    runtime.signal('SIGHUP');
    await eventually(async () => {
      const shown = await runtime.shown();
      expect(shown.map(({ role, state }) => [role, state])).toEqual([['7', 'established']]);
    });
  });

  test('a container that it started anew has its links, though its old pid is served for a while', async () => {
    runtime.set(link());
    await runtime.until({ raw: 'established' });
    await consumer.restart();
    const [shown] = await runtime.until({ raw: 'waiting' });
    expect(shown?.last_error?.code).toBe('container-gone');
    const before = looks();
    await eventually(() => expect(looks()).toBeGreaterThan(before + 2));
    runtime.serve(link());
    await runtime.until({ raw: 'established' });
  });

  test('a daemon that was killed is back with its links when it is respawned', async () => {
    runtime.signal('SIGKILL');
    await runtime.nextLife();
    await runtime.until({ raw: 'established' });
  });
});
