/** A real pvx-broker, asked by the test's own process (which is root) as if it were a daemon. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Broker } from '../../src/broker/client.js';
import { openMessageChannel } from '../../src/broker/message-channel.js';
import { Containers } from '../../src/host/containers.js';
import { native, PACKAGE_ROOT, SOCKET_TYPES } from '../../src/relay/native.js';
import { endOf } from './processes.js';

export interface TestBroker {
  readonly broker: Broker;
  readonly brokerProcess: ChildProcess;
  /** The relay's end of its channel; closed by `stop`, unless somebody took it. */
  readonly relay: number;
  readonly containers: Containers;
  /** The daemon dies, whatever it waits for, and is followed by another on the same channel, which `broker` is then. */
  next(): Promise<Broker>;
  /** Ends both channels. */
  leave(): void;
  stop(): Promise<void>;
}

export interface TestBrokerOptions {
  readonly args?: readonly string[];
  /** Another program than the one that was built. */
  readonly broker?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Its descriptors 5 and 6, see handover.ts; they stay the caller's. */
  readonly handover?: readonly number[];
  /** Of the daemon that asks first: how many there were before it. */
  readonly incarnation?: number;
}

/** `takesRelay`: the caller closes the relay's end. */
export async function startBroker(
  options: TestBrokerOptions = {},
  takesRelay = false,
): Promise<TestBroker> {
  const [control, theirControl] = native.socketPair(SOCKET_TYPES.seqpacket);
  const [relay, theirRelay] = native.socketPair(SOCKET_TYPES.seqpacket);
  const program = options.broker ?? `${PACKAGE_ROOT}/build/Release/pvx-broker`;
  const brokerProcess = spawn(program, options.args ?? ['--runtime', '/nonexistent'], {
    stdio: ['ignore', 'inherit', 'inherit', theirControl, theirRelay, ...(options.handover ?? [])],
    env: { ...process.env, ...options.env },
  });
  closeSync(theirControl);
  closeSync(theirRelay);
  let { incarnation = 0 } = options;
  const enter = async () => {
    const channel = openMessageChannel(native.descriptorDuplicate(control));
    const broker = new Broker(channel, ++incarnation);
    const hello = await broker.hello();
    if (!hello.ok) throw new Error(`pvx-broker: ${hello.errno}`);
    return broker;
  };
  let broker = await enter();
  let isLeft = false;
  const leave = () => {
    if (isLeft) return;
    isLeft = true;
    broker.close();
    closeSync(control);
    if (!takesRelay) closeSync(relay);
  };
  return {
    get broker() {
      return broker;
    },
    brokerProcess,
    relay,
    containers: new Containers(broker),
    next: async () => {
      broker.close();
      broker = await enter();
      return broker;
    },
    leave,
    stop: async () => {
      leave();
      brokerProcess.kill();
      await endOf(brokerProcess);
    },
  };
}
