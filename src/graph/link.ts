/**
 * The link: one requirement joined to one export, the unit that everything after the graph works on. Each field has
 * its row in manifest/link-fields.ts.
 *
 * Links are immutable values. Two links with the same identity and equal fields are interchangeable.
 */
import type { ErrorCode, LinkError } from '../kernel/errors.js';
import type {
  ContainerEnd,
  HttpOptions,
  InputMatch,
  PolicyRules,
} from '../manifest/link-values.js';
import type { DeviceAccess, SocketMode } from '../manifest/vocabulary.js';

export type {
  ContainerEnd,
  HttpOptions,
  InputMatch,
  PolicyRules,
} from '../manifest/link-values.js';
export {
  type DeviceAccess,
  EXTERNAL,
  RUNTIME_PROVIDER,
  SERVICE_TYPES,
  type ServiceType,
  type SocketMode,
} from '../manifest/vocabulary.js';

export interface Link {
  readonly consumer: string;
  /** 0 or less: not running (or the host, see EXTERNAL). */
  readonly consumerPid: number;
  readonly provider: string;
  readonly providerPid: number;
  readonly name: string;
  /** As the consumer sees it. A string, not ServiceType: a foreign runtime may name one that we lack. */
  readonly type: string;
  readonly role: string;
  readonly interface: string;
  /** Path inside the consumer, or `IP:PORT[/PREFIX]`. */
  readonly target: string;
  /** Path inside the provider, or `IP:PORT`. */
  readonly socket: string;
  /** The provider's transport where it differs from `type`. */
  readonly transport?: 'unix' | 'tcp';
  /** Identity already resolved by the runtime (hosted bus). */
  readonly uid?: number;
  /** dbus only: what this link's role may do on the bus. Absent: whatever the bus itself allows. */
  readonly policy?: PolicyRules;
  /** audit: what the policy refuses is only logged and counted. Absent: enforce. */
  readonly policyMode?: 'enforce' | 'audit';
  /**
   * Hosted bus only: names on it whose owner is started when this link's role calls it. Absent: the runtime has not
   * said, and is asked about any name that nobody owns.
   */
  readonly activates?: readonly string[];
  /** unix only; absent: stream. */
  readonly mode?: SocketMode;
  /** false: descriptors cannot occur on this link, so bytes may be spliced unseen. Absent: true. */
  readonly fds?: boolean;
  /** drm and input only: plant a node, or serve opened descriptors on a socket. Absent: node. */
  readonly device?: 'node' | 'fd';
  /** drm and input only: how a device is opened for a client. Absent: rw. */
  readonly access?: DeviceAccess;
  /** drm only: connectors that are leased, in place of the card. */
  readonly lease?: readonly string[];
  /** input only: which device it is; its node is beside `socket`. */
  readonly match?: InputMatch;
  /** http only: the Host that it answers to, in lower case; absent: any. */
  readonly host?: string;
  /** The provider reads a header of the PROXY protocol of this version first. */
  readonly proxyProtocol?: 1 | 2;
  /** Where the target is an address: connections at once, more of them wait. Absent: as the daemon allows. */
  readonly maxConnections?: number;
  /** Where the target is an address: networks, as `IP/LENGTH` or `IP`, that may connect. Absent: all. */
  readonly allowFrom?: readonly string[];
  /** What this link may ask over HTTP, as `METHOD /path/**`. Absent: everything. */
  readonly rules?: readonly string[];
  /** rest and http only. */
  readonly http?: HttpOptions;
  /** Nothing can meet the requirement, and it said that this may be so. */
  readonly optional?: boolean;
  /** How the two containers ended last, where somebody knows; absent: never, or nobody does. */
  readonly consumerEnd?: ContainerEnd;
  readonly providerEnd?: ContainerEnd;
  /** Why the builder knows that this link can't be made; it is shown as `failed` or `unmet`, and never attached. */
  readonly error?: LinkError;
  /** Fields of the wire form that are not ours, and options of plugins: kept, passed on, read by plugins alone. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** `consumer|name|target`, each escaped so that no two links collide. */
export function linkId(link: Pick<Link, 'consumer' | 'name' | 'target'>): string {
  return [link.consumer, link.name, link.target].map(encodeURIComponent).join('|');
}

/** That a container does not run, in one sentence: with how it ended, how often, and where its log is, as far as known. */
export function notRunningText(container: string, end: ContainerEnd | undefined): string {
  if (!end) return `${container} is not running.`;
  const { how, times, log } = end;
  const ended =
    times === 1 ? `it ended with ${how}` : `it has ended ${times} times, last with ${how}`;
  return `${container} is not running: ${ended}${log === undefined ? '' : `; its log is ${log}`}.`;
}

export const LINK_STATES = ['waiting', 'established', 'failed', 'draining', 'unmet'] as const;
export type LinkState = (typeof LINK_STATES)[number];

/** Of a link that has an error with this code before it was ever attached. */
export function stateOfError(code: unknown): 'unmet' | 'failed' {
  const unmet: ErrorCode = 'requirement-unmet';
  return code === unmet ? 'unmet' : 'failed';
}

/** What a source yields: one whole graph, and when it was true. */
export interface GraphSnapshot {
  readonly links: readonly Link[];
  /**
   * When the source had the pids: clock ticks since boot (`/proc/stat` units, USER_HZ 100). A process that
   * started later than this is not the one that the graph means. 0: unknown, anything goes.
   */
  readonly stamp: number;
  /** Where the source knows: by pid, the id that the container has in the cgroups of its processes. */
  readonly engineIds?: ReadonlyMap<number, string>;
}
