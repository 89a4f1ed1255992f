/** A container that started while the runtime was asked for the graph, and a process that came after the answer. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { Broker } from '../../../src/broker/client.js';
import { Containers } from '../../../src/host/containers.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import { endBy } from '../../support/processes.js';
import { nextTick } from '../../support/wait.js';

let child: ChildProcess | null = null;
const alive: number[] = [];
afterEach(async () => {
  if (child) await endBy(child);
  for (const fd of alive.splice(0)) closeSync(fd);
});

/** A broker for which any process is too young for the first graph, and for no other. */
function setUp(): Containers {
  const channel = { send: () => undefined, close: () => undefined, onMessage: null, onEnd: null };
  const broker = new Broker(channel, 1);
  let asked = 0;
  broker.hold = async () => {
    if (asked++ === 0) return { ok: false, errno: 'ESTALE' };
    const [pidfd, other] = native.socketPair(SOCKET_TYPES.stream);
    alive.push(other);
    return {
      ok: true,
      value: { handle: 1, pidfd, startTime: 1, mountNamespace: 1n, cgroup: '0::/\n' },
    };
  };
  broker.release = async () => undefined;
  return new Containers(broker);
}

const startProcess = (): number => {
  child = spawn('sleep', ['60'], { stdio: 'ignore' });
  return child.pid as number;
};

describe('a process that is younger than the question for the graph', () => {
  it('is taken with the next graph where it was there when the answer came', async () => {
    const containers = setUp();
    const pid = startProcess();
    containers.see({ links: [] });
    expect((await containers.retain('web', pid, 1)).ok).toBe(false);
    const held = await containers.retain('web', pid, 2);
    expect(held.ok).toBe(true);
    if (held.ok) containers.release(held.value);
  });

  it('is not taken for that container any more where it came after the answer', async () => {
    const containers = setUp();
    containers.see({ links: [] });
    await nextTick();
    const pid = startProcess();
    expect((await containers.retain('web', pid, 1)).ok).toBe(false);
    expect((await containers.retain('web', pid, 2)).ok).toBe(false);
  });
});
