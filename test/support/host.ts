/**
 * The host layer on a real broker, inside the test's own process (which is root): what a daemon has, but for
 * the mesh above it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Broker } from '../../src/broker/client.js';
import { openMessageChannel } from '../../src/broker/message-channel.js';
import { HostAttacher } from '../../src/host/attacher.js';
import { Containers } from '../../src/host/containers.js';
import { createLogger } from '../../src/kernel/log.js';
import { Registry } from '../../src/plugins/registry.js';
import { native, PACKAGE_ROOT, SOCKET_TYPES } from '../../src/relay/native.js';
import { Relay } from '../../src/relay/relay.js';
import { endOf } from './processes.js';

export interface TestHost {
  readonly broker: Broker;
  readonly brokerProcess: ChildProcess;
  readonly relay: Relay;
  readonly containers: Containers;
  readonly plugins: Registry;
  readonly attacher: HostAttacher;
  stop(): Promise<void>;
}

export interface TestHostOptions {
  readonly patienceMs?: number;
  readonly maxConnections?: number;
  readonly linkMemory?: number;
  readonly args?: readonly string[];
  /** Another program than the one that was built. */
  readonly broker?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export async function startHost(options: TestHostOptions = {}): Promise<TestHost> {
  const [control, theirControl] = native.socketPair(SOCKET_TYPES.seqpacket);
  const [data, theirData] = native.socketPair(SOCKET_TYPES.seqpacket);
  const args = options.args ?? ['--control', '', '--runtime', '/nonexistent'];
  const program = options.broker ?? `${PACKAGE_ROOT}/build/Release/pvx-broker`;
  const brokerProcess = spawn(program, args, {
    stdio: ['ignore', 'inherit', 'inherit', theirControl, theirData],
    env: { ...process.env, ...options.env },
  });
  closeSync(theirControl);
  closeSync(theirData);
  const broker = new Broker(openMessageChannel(control));
  const relay = new Relay(data);
  const containers = new Containers(broker);
  const plugins = new Registry();
  const log = createLogger(process.env.PVX_TEST_LOG ?? 'silent');
  const attacher = new HostAttacher(
    { broker, relay, containers, plugins, log },
    {
      patienceMs: options.patienceMs ?? 5_000,
      maxConnections: options.maxConnections ?? 4_096,
      linkMemory: options.linkMemory ?? 64 * 2 ** 20,
    },
  );
  return {
    broker,
    brokerProcess,
    relay,
    containers,
    plugins,
    attacher,
    stop: async () => {
      relay.stop();
      broker.close();
      await endOf(brokerProcess);
    },
  };
}
