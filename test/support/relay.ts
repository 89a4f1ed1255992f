/** A real pvx-relay, used by the test's own process as if it were a daemon and its supervisor. */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { closeAll } from '../../src/kernel/descriptors.js';
import { duplicate } from '../../src/relay/closing.js';
import { native, PACKAGE_ROOT, SOCKET_TYPES } from '../../src/relay/native.js';
import { Relay, type StandingLink } from '../../src/relay/relay.js';
import { endBy, endOf } from './processes.js';

/** Of the relay, which is nobody with privileges. */
const USER = 64_999;

export interface TestRelay {
  readonly relay: Relay;
  /** Of the process that is the relay now. */
  readonly pid: number;
  /** Another daemon on the same channel, and what it finds. The one before it has to be stopped, and hears nothing. */
  succeed(): Promise<{ readonly relay: Relay; readonly standing: readonly StandingLink[] }>;
  /** What it ended with, once it has. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Its daemon, and whoever could follow, has left. */
  leave(): void;
  /** Kills it, and starts another one in its place, as the supervisor does. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface TestRelayOptions {
  /** Its end of the channel to the broker, which is taken. Absent: there is none, and nobody can be connected to. */
  readonly broker?: number;
  /** Another program than the one that was built. */
  readonly program?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Its descriptors 5 and 6, see handover.ts; they stay the caller's. */
  readonly handover?: readonly number[];
}

export async function startRelay({
  broker = openSync('/dev/null', 'r'),
  program = `${PACKAGE_ROOT}/build/Release/pvx-relay`,
  env = {},
  handover = [],
}: TestRelayOptions = {}): Promise<TestRelay> {
  const [near, far] = native.socketPair(SOCKET_TYPES.seqpacket);
  const start = (): ChildProcess =>
    spawn(program, [], {
      ...{ uid: USER, gid: USER, env: { ...process.env, ...env } },
      stdio: ['ignore', 'inherit', 'inherit', broker, far, ...handover],
    });
  let child = start();
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
  let isLeft = false;
  const leave = (): void => {
    for (const each of relays) each.stop();
    if (!isLeft) closeAll([near, far, broker]);
    isLeft = true;
  };
  return {
    relay,
    get pid() {
      return child.pid as number;
    },
    succeed,
    get ended() {
      return endOf(child);
    },
    leave,
    restart: async () => {
      await endBy(child);
      child = start();
    },
    stop: async () => {
      await endBy(child);
      leave();
    },
  };
}
