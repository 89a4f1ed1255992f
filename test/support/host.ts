/**
 * The host layer on a real broker and a real relay, inside the test's own process (which is root): what a daemon has, but
 * for the mesh above it.
 */
import { Adoption } from '../../src/host/adoption.js';
import { HostAttacher } from '../../src/host/attacher.js';
import { createLogger } from '../../src/kernel/log.js';
import { Registry } from '../../src/plugins/registry.js';
import type { Relay } from '../../src/relay/relay.js';
import { startBroker, type TestBroker, type TestBrokerOptions } from './broker.js';
import { startRelay } from './relay.js';

export interface TestHost extends Omit<TestBroker, 'relay'> {
  readonly relay: Relay;
  readonly relayPid: number;
  readonly plugins: Registry;
  readonly attacher: HostAttacher;
}

export interface TestHostOptions extends TestBrokerOptions {
  readonly patienceMs?: number;
  readonly maxConnections?: number;
  readonly linkMemory?: number;
}

export async function startHost(options: TestHostOptions = {}): Promise<TestHost> {
  const started = await startBroker(options, true);
  const { broker, containers } = started;
  const served = await startRelay({ broker: started.relay });
  const { relay } = served;
  const plugins = new Registry();
  const log = createLogger(process.env.PVX_TEST_LOG ?? 'silent');
  const adoption = new Adoption({ broker, relay, log, drainMs: 5_000 });
  const attacher = new HostAttacher(
    { broker, relay, adoption, containers, plugins, log },
    {
      patienceMs: options.patienceMs ?? 5_000,
      maxConnections: options.maxConnections ?? 4_096,
      linkMemory: options.linkMemory ?? 64 * 2 ** 20,
    },
  );
  return {
    ...started,
    relay,
    relayPid: served.pid,
    plugins,
    attacher,
    stop: async () => {
      await served.stop();
      await started.stop();
    },
  };
}
