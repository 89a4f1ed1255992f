/** A real pvx-relay, used by the test's own process as if it were a daemon. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { duplicate } from '../../src/relay/closing.js';
import { native, PACKAGE_ROOT, SOCKET_TYPES } from '../../src/relay/native.js';
import { Relay, type StandingLink } from '../../src/relay/relay.js';
import { endBy } from './processes.js';

/** Of the relay, which runs as nobody with privileges. */
const USER = 64_999;

export interface TestRelay {
  readonly relay: Relay;
  readonly process: ChildProcess;
  readonly pid: number;
  /** Another daemon on the same channel, and what it finds. The one before it has to be stopped, and hears nothing. */
  succeed(): Promise<{ readonly relay: Relay; readonly standing: readonly StandingLink[] }>;
  stop(): Promise<void>;
}

export interface TestRelayOptions {
  /** Its end of the channel to the broker, which it takes. Absent: there is none, and nobody can be connected to. */
  readonly broker?: number;
  /** Another program than the one that was built. */
  readonly program?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export async function startRelay({
  broker = openSync('/dev/null', 'r'),
  program = `${PACKAGE_ROOT}/build/Release/pvx-relay`,
  env = {},
}: TestRelayOptions = {}): Promise<TestRelay> {
  const [near, far] = native.socketPair(SOCKET_TYPES.seqpacket);
  const child = spawn(program, [], {
    ...{ uid: USER, gid: USER, env: { ...process.env, ...env } },
    stdio: ['ignore', 'inherit', 'inherit', broker, far],
  });
  closeSync(far);
  closeSync(broker);
  let incarnation = 0;
  const relays: Relay[] = [];
  const succeed = async () => {
    const [own] = duplicate([near]) as [number];
    const relay = new Relay(own, { incarnation: ++incarnation });
    relays.push(relay);
    const hello = await relay.hello();
    if (!hello.ok) throw new Error(`pvx-relay: ${hello.errno}`);
    return { relay, standing: hello.value };
  };
  const { relay } = await succeed();
  return {
    ...{ relay, process: child, pid: child.pid as number, succeed },
    stop: async () => {
      for (const each of relays) each.stop();
      closeSync(near);
      await endBy(child);
    },
  };
}
