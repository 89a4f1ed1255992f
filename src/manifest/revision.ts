/**
 * A revision as the rest of the project sees it: typed, checked entry by entry, immutable. What could not
 * be read is not in here; a problem in `problems` says why.
 */

import type { HttpOptions } from '../kernel/http-options.js';
import type { Place, Problem } from './problem.js';
import type { DeviceAccess, InputMatch, ServiceType, SocketMode } from './vocabulary.js';

/** Per-role message rules of a dbus export, see docs/dbus.md. */
export interface PolicyRules {
  readonly see?: readonly string[];
  readonly talk?: readonly string[];
  readonly own?: readonly string[];
  readonly call?: Readonly<Record<string, readonly string[]>>;
  readonly broadcast?: Readonly<Record<string, readonly string[]>>;
}

/** A role and the calls that it may make: each of those interfaces, members and paths; absent: any. */
export interface NarrowedCaller {
  readonly role: string;
  readonly interfaces?: readonly string[];
  readonly members?: readonly string[];
  readonly paths?: readonly string[];
}

/** One entry of a `services.json`: an export (`socket` or `port`), a bus-name owner (`owns`), or both. */
export interface Service {
  /** Absent for an owner of a bus name only. */
  readonly name?: string;
  readonly type: ServiceType;
  /** Absolute path inside the provider. Exactly one of `socket` and `port` for an export. */
  readonly socket?: string;
  readonly port?: number;
  /** unix only; absent: stream. */
  readonly mode?: SocketMode;
  /** unix only; false: descriptors cannot occur. Absent: true. */
  readonly fds?: boolean;
  /** drm and input only: how a device is opened for a client; absent: rw. */
  readonly access?: DeviceAccess;
  /** drm only: connectors that are leased, in place of the card. */
  readonly lease?: readonly string[];
  /** input only: the device that it is, whichever node it has now beside `socket`. */
  readonly match?: InputMatch;
  /** It reads a header of the PROXY protocol of this version first. Not dbus, drm, input, wayland. */
  readonly proxyProtocol?: 1 | 2;
  /** Roles, or `container:<name>`. Absent: everyone. Empty: no one, but for `calls`. */
  readonly allow?: readonly string[];
  /** Of a name on a hosted bus: roles that may make some calls only. */
  readonly calls?: readonly NarrowedCaller[];
  /** The three of a bus-name owner come together; `bus` is `system-bus` where it was not given. */
  readonly bus?: string;
  readonly owns?: string;
  readonly role?: string;
  readonly activation?: 'always' | 'on-demand';
  readonly policy?: ReadonlyMap<string, PolicyRules>;
  /** Absent: enforce. */
  readonly policyMode?: 'audit';
  /** By role, `*` for every: what may be asked over HTTP, as `METHOD /path/**`. Absent: everything. */
  readonly rules?: ReadonlyMap<string, readonly string[]>;
  /** Where it was declared, for problems that are found later. */
  readonly place: Place;
}

/** An entry of a `services.json` that is not served; a problem says why. Who requires it is told that alone. */
export interface RefusedService {
  readonly name?: string;
  readonly owns?: string;
  readonly type?: ServiceType;
  readonly socket?: string;
  readonly place: Place;
}

export interface Requirement {
  readonly name: string;
  /** Names that are needed on the hosted system bus, which is then what `name` means. */
  readonly names?: readonly string[];
  /** Absent: the provider's. */
  readonly type?: ServiceType;
  /** A path, or `IP:PORT[/PREFIX]`. Absent: the default of its type, see docs/manifests.md. */
  readonly target?: string;
  readonly role: string;
  /** Absent: the only exporter. */
  readonly provider?: string;
  /** Absent: the type. */
  readonly interface?: string;
  /** drm and input only; absent: node. */
  readonly mode?: 'node' | 'fd';
  /** http only: the Host it answers to; absent: any. */
  readonly host?: string;
  /** rest and http only. */
  readonly http?: HttpOptions;
  /** As of a service; where that has its own, that counts. */
  readonly proxyProtocol?: 1 | 2;
  /** The next two where the target is an address: connections at once; absent: as the daemon allows. */
  readonly maxConnections?: number;
  /** Networks, `IP/LENGTH` or `IP`, that may connect. Absent: all. Empty: none. */
  readonly allowFrom?: readonly string[];
  readonly optional: boolean;
  /** It was refused, and a problem at its place says why: its link is shown as failed, and never made. */
  readonly refused?: true;
  readonly place: Place;
}

/** An ingress rule: a requirement of the host itself. `name` is the service, `rule` the rule's own name. */
export interface IngressRule extends Requirement {
  readonly rule?: string;
}

export interface ContainerManifest {
  readonly name: string;
  readonly services: readonly Service[];
  readonly refused: readonly RefusedService[];
  readonly requirements: readonly Requirement[];
  /** `run.json` and `args.json` as parsed; empty where there is none. Untrusted beyond being objects. */
  readonly run: Readonly<Record<string, unknown>>;
  readonly args: Readonly<Record<string, unknown>>;
}

export interface AutoRecovery {
  readonly policy?: string;
  readonly maxRetries?: number;
  /** Seconds. */
  readonly retryDelay?: number;
  readonly backoffFactor?: number;
  /** Seconds. */
  readonly resetWindow?: number;
}

export interface DeviceGroup {
  readonly name: string;
  readonly statusGoal?: 'MOUNTED' | 'STARTED' | 'READY';
  readonly restartPolicy?: 'system' | 'container';
  /** Seconds. */
  readonly timeout?: number;
  readonly autoRecovery?: AutoRecovery;
}

export interface NetworkPool {
  readonly name: string;
  readonly type: string;
  readonly bridge?: string;
  /** CIDR. */
  readonly subnet?: string;
  readonly gateway?: string;
  readonly nat?: boolean;
}

export interface DeviceManifest {
  readonly groups: readonly DeviceGroup[];
  readonly pools: readonly NetworkPool[];
  readonly ingress: readonly IngressRule[];
}

export interface Revision {
  /** In order of their names. */
  readonly containers: readonly ContainerManifest[];
  /** Containers whose `services.json` can't be read: nobody knows what they provide. */
  readonly unreadable: readonly string[];
  readonly device: DeviceManifest;
  readonly problems: readonly Problem[];
  /**
   * Nothing could be read, or the system was short of something meanwhile: this is no news of the revision, and
   * whoever has an earlier reading keeps that.
   */
  readonly failed?: boolean;
  /** The merged state: JSON by relative path, with its `#spec`. */
  readonly state: Readonly<Record<string, unknown>>;
}
