/** What a link's host is made of, and what the daemon's command line says about it. */
import type { Broker } from '../broker/client.js';
import type { LinkError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import type { OnDemand } from '../plugins/on-demand.js';
import type { Relay } from '../relay/relay.js';
import type { Container } from './containers.js';
import type { DeviceWatch } from './device-watch.js';
import type { PlantWatch } from './plant-watch.js';
import type { LinkProvider } from './provider.js';
import type { SharedListeners } from './shared-listeners.js';
import type { Verification } from './verification.js';

export interface LinkHostOptions {
  /** How long a connection waits for its provider, in milliseconds. */
  readonly patienceMs: number;
  /** Of one listener; more wait in its backlog. */
  readonly maxConnections: number;
  /** Of its connections, for receivers that do not read, in bytes. */
  readonly linkMemory: number;
}

export interface LinkHostParts {
  readonly broker: Broker;
  readonly relay: Relay;
  readonly shared: SharedListeners;
  readonly deviceWatch: DeviceWatch;
  readonly plantWatch: PlantWatch;
  readonly consumer: Container;
  readonly provider: LinkProvider;
  readonly verification: Verification;
  readonly onDemand: OnDemand | null;
  /** Told why the consumer has no target now; null: it has. */
  readonly onTarget: (error: LinkError | null) => void;
  readonly log: Logger;
}
