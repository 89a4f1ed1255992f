/** Where a graph says which container of an engine a pid is, the cgroups of the process decide. */
import { closeSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { Broker } from '../../../src/broker/client.js';
import type { GraphSnapshot } from '../../../src/graph/link.js';
import { Containers } from '../../../src/host/containers.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';

const [ID, OTHER] = ['a'.repeat(64), 'b'.repeat(64)];
const PID = process.pid;
/** The other ends of what stands for a pidfd, which is readable once its process has ended. */
const alive: number[] = [];
afterEach(() => {
  for (const fd of alive.splice(0)) closeSync(fd);
});

/** Containers behind a broker that holds any process, in a cgroup of the test's choice. */
function setUp(cgroup: string) {
  const channel = { send: () => undefined, close: () => undefined, onMessage: null, onEnd: null };
  const broker = new Broker(channel, 1);
  broker.hold = async () => {
    const [pidfd, other] = native.socketPair(SOCKET_TYPES.stream);
    alive.push(other);
    return { ok: true, value: { handle: 1, pidfd, startTime: 1, mountNamespace: 1n, cgroup } };
  };
  broker.release = async () => undefined;
  const containers = new Containers(broker);
  const graph = (id?: string): Pick<GraphSnapshot, 'links' | 'engineIds'> => ({
    links: [],
    ...(id === undefined ? {} : { engineIds: new Map([[PID, id]]) }),
  });
  return { containers, graph };
}

describe('a process whose container the graph knows by its id', () => {
  it('is taken where its cgroups have that id', async () => {
    const { containers, graph } = setUp(`0::/system.slice/docker-${ID}.scope\n`);
    containers.see(graph(ID));
    const held = await containers.retain('web', PID, 0);
    expect(held.ok).toBe(true);
    if (held.ok) containers.release(held.value);
  });

  it('is refused where they have another one', async () => {
    const { containers, graph } = setUp(`0::/docker/${OTHER}\n`);
    containers.see(graph(ID));
    expect(await containers.retain('web', PID, 0)).toMatchObject({
      ok: false,
      error: { code: 'container-gone' },
    });
  });

  it('is not told from others where the graph has no ids, or the cgroups', async () => {
    for (const [cgroup, id] of [
      [`0::/docker/${OTHER}\n`, undefined],
      ['0::/\n', ID],
    ] as const) {
      const { containers, graph } = setUp(cgroup);
      containers.see(graph(id));
      const held = await containers.retain('web', PID, 0);
      expect(held.ok).toBe(true);
      if (held.ok) containers.release(held.value);
    }
  });
});
