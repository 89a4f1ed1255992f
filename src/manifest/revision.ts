/**
 * A revision as the rest of the project sees it: typed, checked entry by entry, immutable. What could not
 * be read is not in here; a problem in `problems` says why.
 */

import type { NarrowedCaller } from './entries.js';
import type { Said } from './link-fields.js';
import type { HttpOptions, PolicyRules } from './link-values.js';
import type { Place, Problem } from './problem.js';

/** One entry of a `services.json`: an export (`socket` or `port`), a bus-name owner (`owns`), or both. */
export interface Service extends Omit<Said<'service'>, 'type' | 'policy' | 'rules'> {
  readonly type: string;
  /** In place of `socket`. */
  readonly port?: number;
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
  /** By role, `*` for every: what may be asked over HTTP, as `METHOD /path/**`. Absent: everything. */
  readonly rules?: ReadonlyMap<string, readonly string[]>;
  /** Those of a plugin, which only that understands. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Where it was declared, for problems that are found later. */
  readonly place: Place;
}

/** An entry of a `services.json` that is not served; a problem says why. Who requires it is told that alone. */
export interface RefusedService {
  readonly name?: string;
  readonly owns?: string;
  readonly type?: string;
  readonly socket?: string;
  readonly place: Place;
}

export interface Requirement extends Omit<Said<'requirement'>, 'name' | 'role'> {
  readonly name: string;
  readonly role: string;
  /** Names that are needed on the hosted system bus, which is then what `name` means. */
  readonly names?: readonly string[];
  readonly http?: HttpOptions;
  /** Those of a plugin, which only that understands. */
  readonly options?: Readonly<Record<string, unknown>>;
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

export const RECOVERY_POLICIES = ['no', 'on-failure', 'always', 'unless-stopped'] as const;
export type RecoveryPolicy = (typeof RECOVERY_POLICIES)[number];

/** Where a container is to get to. */
export const STATUS_GOALS = ['MOUNTED', 'STARTED', 'READY'] as const;
export type StatusGoal = (typeof STATUS_GOALS)[number];

/** What a container is stopped and started with: the whole system, or nothing else. */
export const RESTART_POLICIES = ['system', 'container'] as const;
export type RestartPolicy = (typeof RESTART_POLICIES)[number];

/** What follows when a container ends by itself. */
export interface AutoRecovery {
  readonly policy: RecoveryPolicy;
  /** 0: no limit. */
  readonly maxRetries?: number;
  /** Seconds. */
  readonly retryDelay?: number;
  readonly backoffFactor?: number;
  /** Seconds. */
  readonly resetWindow?: number;
  /** Seconds that it has to run to count as stable. */
  readonly stableTimeout?: number;
  /** When the retries are used up: `reboot`, `never`, or how long to wait, such as `10min`. */
  readonly backoffPolicy?: string;
}

/** Units of a time in `backoff_policy`, in milliseconds. */
export const BACK_OFF_UNITS = { s: 1_000, min: 60_000, h: 3_600_000 } as const;
export type BackOffUnit = keyof typeof BACK_OFF_UNITS;
/** Such a time: the amount, and the unit. */
export const BACK_OFF_TIME = new RegExp(`^(\\d{1,6}) ?(${Object.keys(BACK_OFF_UNITS).join('|')})$`);

export interface DeviceGroup {
  readonly name: string;
  readonly statusGoal?: StatusGoal;
  readonly restartPolicy?: RestartPolicy;
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
  /** By container, its `services.json` where that can't be read: nobody knows what it provides. */
  readonly unreadable: ReadonlyMap<string, string>;
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
