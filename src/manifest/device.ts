/**
 * `device.json`: groups, network pools and ingress rules; every other key belongs to somebody else.
 */
import { GROUP_SCHEMA, POOL_SCHEMA } from './device-schema.js';
import { isObject } from './json.js';
import { pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import { INGRESS_SCHEMA } from './requirement-schema.js';
import { type Entry, readWanted } from './requirements.js';
import type {
  AutoRecovery,
  DeviceGroup,
  DeviceManifest,
  IngressRule,
  NetworkPool,
} from './revision.js';
import { meets } from './schema.js';
import { boundedEntries } from './services.js';
import { isName } from './text.js';

export const DEVICE_FILE = 'device.json';
export const NO_DEVICE: DeviceManifest = { groups: [], pools: [], ingress: [] };

export function readDevice(value: unknown, problems: ProblemList): DeviceManifest {
  const place = { file: DEVICE_FILE, pointer: '' };
  if (!isObject(value)) {
    problems.add('shape-wrong', place, show(value), 'an object');
    return NO_DEVICE;
  }
  return {
    groups: readGroups(value.groups, problems),
    pools: readPools(value.network, problems),
    ingress: readIngress(value.ingress, problems),
  };
}

function readGroups(value: unknown, problems: ProblemList): DeviceGroup[] {
  const groups: DeviceGroup[] = [];
  const names = new Set<string>();
  for (const { item, place } of entriesOf(value, 'groups', problems)) {
    if (!meets(GROUP_SCHEMA, item, place, problems)) continue;
    const group = toGroup(item as RawGroup);
    if (names.has(group.name)) {
      problems.add('shape-wrong', place, `the group ${show(group.name)} again`, 'each group once');
      continue;
    }
    names.add(group.name);
    groups.push(group);
  }
  return groups;
}

function readPools(network: unknown, problems: ProblemList): NetworkPool[] {
  if (network === undefined || (isObject(network) && network.pools === undefined)) return [];
  const [pools, pointer] = isObject(network)
    ? [network.pools, '/network/pools']
    : [network, '/network'];
  const place = { file: DEVICE_FILE, pointer };
  if (!isObject(network) || !isObject(pools)) {
    problems.add('shape-wrong', place, show(pools), 'an object');
    return [];
  }
  const read: NetworkPool[] = [];
  for (const [, [name, pool]] of boundedEntries(Object.entries(pools), place, problems)) {
    const at = { file: DEVICE_FILE, pointer: pointerTo(pointer, name) };
    if (!isName(name)) {
      problems.add('name-invalid', at, `the pool ${show(name)}`, 'a name without slashes');
    } else if (meets(POOL_SCHEMA, pool, at, problems)) {
      const { type, bridge, subnet, gateway, nat } = pool as Omit<NetworkPool, 'name'>;
      read.push(known({ name, type, bridge, subnet, gateway, nat }));
    }
  }
  return read;
}

function readIngress(value: unknown, problems: ProblemList): IngressRule[] {
  const rules: IngressRule[] = [];
  for (const { item, place } of entriesOf(value, 'ingress', problems)) {
    if (!meets(INGRESS_SCHEMA, item, place, problems)) continue;
    const { name: rule, ...entry } = item as Entry;
    // A rule without "service" is named like the service that it stands for.
    const service = entry.service ?? rule;
    const wanted = readWanted({ ...entry, ...(service ? { service } : {}) }, place, problems);
    if (!wanted) continue;
    if (wanted.target === undefined) {
      problems.add('address-invalid', place, 'no "external"', 'IP:PORT, for http with /PREFIX');
      continue;
    }
    rules.push({ ...wanted, ...(rule === undefined ? {} : { rule }), optional: false, place });
  }
  return rules;
}

/** An entry of a group that meets the schema. */
interface RawGroup {
  readonly name: string;
  readonly status_goal?: DeviceGroup['statusGoal'];
  readonly restart_policy?: DeviceGroup['restartPolicy'];
  readonly timeout?: number;
  readonly auto_recovery?: {
    readonly policy?: string;
    readonly max_retries?: number;
    readonly retry_delay?: number;
    readonly backoff_factor?: number;
    readonly reset_window?: number;
  };
}

function toGroup(raw: RawGroup): DeviceGroup {
  const recovery = raw.auto_recovery;
  const autoRecovery: AutoRecovery | undefined =
    recovery &&
    known({
      policy: recovery.policy,
      maxRetries: recovery.max_retries,
      retryDelay: recovery.retry_delay,
      backoffFactor: recovery.backoff_factor,
      resetWindow: recovery.reset_window,
    });
  return known({
    name: raw.name,
    statusGoal: raw.status_goal,
    restartPolicy: raw.restart_policy,
    timeout: raw.timeout,
    autoRecovery,
  });
}

function* entriesOf(value: unknown, key: string, problems: ProblemList) {
  const place = { file: DEVICE_FILE, pointer: pointerTo('', key) };
  if (value === undefined) return;
  if (!Array.isArray(value)) {
    problems.add('shape-wrong', place, show(value), 'an array');
    return;
  }
  for (const [index, item] of boundedEntries(value, place, problems)) {
    const at = { file: DEVICE_FILE, pointer: pointerTo(place.pointer, index) };
    yield { item: item as unknown, place: at };
  }
}

/** An object without the keys that are undefined. */
type Known<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

function known<T extends object>(fields: T): Known<T> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Known<T>;
}
