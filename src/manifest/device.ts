/**
 * `device.json`: groups, network pools and ingress rules; every other key belongs to somebody else.
 */
import {
  type AUTO_RECOVERY_SCHEMA,
  GROUP_SCHEMA,
  POOL_SCHEMA,
  RULE_NAME,
} from './device-schema.js';
import type { Vocabulary } from './entries.js';
import { noteNearMisses } from './fields.js';
import { isObject, known } from './json.js';
import { type Place, pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import { readWanted, refused } from './requirements.js';
import type {
  AutoRecovery,
  DeviceGroup,
  DeviceManifest,
  IngressRule,
  NetworkPool,
} from './revision.js';
import { meets, type Schema, type Static } from './schema.js';
import { boundedEntries } from './services.js';
import { isName } from './text.js';

export const DEVICE_FILE = 'device.json';
/** Where older revisions have the groups: an array, `groups` of device.json. */
export const GROUPS_FILE = 'groups.json';
export const NO_DEVICE: DeviceManifest = { groups: [], pools: [], ingress: [] };

/** `value`, `older`: what the two files hold; undefined: there is none. */
export function readDevice(
  value: unknown,
  older: unknown,
  vocabulary: Vocabulary,
  problems: ProblemList,
): DeviceManifest {
  const place = { file: DEVICE_FILE, pointer: '' };
  if (value === undefined) {
    return { ...NO_DEVICE, groups: readGroups(older, GROUPS_FILE, '', problems) };
  }
  if (!isObject(value)) {
    problems.add('shape-wrong', place, show(value), 'an object');
    return NO_DEVICE;
  }
  noteNearMisses(value, ['ingress'], place, problems, 'error');
  noteNearMisses(value, ['network', 'groups'], place, problems, 'notice');
  return {
    groups:
      value.groups === undefined
        ? readGroups(older, GROUPS_FILE, '', problems)
        : readGroups(value.groups, DEVICE_FILE, '/groups', problems),
    pools: readPools(value.network, problems),
    ingress: readIngress(value.ingress, DEVICE_FILE, vocabulary, problems),
  };
}

function readGroups(
  value: unknown,
  file: string,
  pointer: string,
  problems: ProblemList,
): DeviceGroup[] {
  const groups: DeviceGroup[] = [];
  const names = new Set<string>();
  for (const { item, place } of entriesOf(value, { file, pointer }, problems)) {
    if (isObject(item)) noteNearMisses(item, fieldsOf(GROUP_SCHEMA), place, problems, 'notice');
    if (!meets(GROUP_SCHEMA, item, place, problems)) continue;
    const group = toGroup(item);
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
  const place = { file: DEVICE_FILE, pointer: '/network' };
  if (isObject(network)) noteNearMisses(network, ['pools'], place, problems, 'notice');
  if (network === undefined || (isObject(network) && network.pools === undefined)) return [];
  const [pools, pointer] = isObject(network)
    ? [network.pools, '/network/pools']
    : [network, '/network'];
  const inner = { file: DEVICE_FILE, pointer };
  if (!isObject(network) || !isObject(pools)) {
    problems.add('shape-wrong', inner, show(pools), 'an object');
    return [];
  }
  const read: NetworkPool[] = [];
  for (const [, [name, pool]] of boundedEntries(Object.entries(pools), inner, problems)) {
    const at = { file: DEVICE_FILE, pointer: pointerTo(pointer, name) };
    if (isObject(pool)) noteNearMisses(pool, fieldsOf(POOL_SCHEMA), at, problems, 'notice');
    if (!isName(name)) {
      problems.add('name-invalid', at, `the pool ${show(name)}`, 'a name without slashes');
    } else if (meets(POOL_SCHEMA, pool, at, problems)) {
      const { type, bridge, subnet, gateway, nat } = pool;
      read.push(known({ name, type, bridge, subnet, gateway, nat }));
    }
  }
  return read;
}

/** `ingress` of an object as `device.json` has it; everything else in it is ignored. */
export function readIngressOf(
  value: unknown,
  file: string,
  vocabulary: Vocabulary,
  problems: ProblemList,
): IngressRule[] {
  const place = { file, pointer: '' };
  if (!isObject(value)) {
    problems.add('shape-wrong', place, show(value), 'an object with "ingress"');
    return [];
  }
  noteNearMisses(value, ['ingress'], place, problems, 'error');
  return readIngress(value.ingress, file, vocabulary, problems);
}

function readIngress(
  value: unknown,
  file: string,
  vocabulary: Vocabulary,
  problems: ProblemList,
): IngressRule[] {
  const { ingress } = vocabulary.schemas;
  const rules: IngressRule[] = [];
  for (const { item, place } of entriesOf(value, { file, pointer: '/ingress' }, problems)) {
    const { name: rule = null, ...rest } = isObject(item) ? item : {};
    const at = { file: place.file, pointer: pointerTo(place.pointer, 'name') };
    const isNamed = rule !== null && meets(RULE_NAME, rule, at, problems);
    // A rule without "service" is named like the service that it stands for.
    const entry = isNamed ? { ...rest, service: rest.service ?? rule } : rest;
    const before = problems.errors;
    const wanted = readWanted(isObject(item) ? entry : item, ingress, place, vocabulary, problems);
    if (wanted && wanted.target === undefined) {
      problems.add('address-invalid', place, 'no "external"', 'IP:PORT, for http with /PREFIX');
    }
    const isSound = problems.errors === before && (isNamed || rule === null);
    const read = isSound ? wanted : refused(entry);
    if (read?.target === undefined) continue;
    const named = isNamed ? { rule: rule as string } : {};
    rules.push({ ...read, ...named, optional: false, place });
  }
  return rules;
}

/** Under our names. */
export function toRecovery(raw: Static<typeof AUTO_RECOVERY_SCHEMA>): AutoRecovery {
  return known({
    policy: raw.policy,
    maxRetries: raw.max_retries,
    retryDelay: raw.retry_delay,
    backoffFactor: raw.backoff_factor,
    resetWindow: raw.reset_window,
    stableTimeout: raw.stable_timeout,
    backoffPolicy: raw.backoff_policy,
  });
}

function toGroup(raw: Static<typeof GROUP_SCHEMA>): DeviceGroup {
  const autoRecovery = raw.auto_recovery && toRecovery(raw.auto_recovery);
  return known({
    name: raw.name,
    statusGoal: raw.status_goal,
    restartPolicy: raw.restart_policy,
    timeout: raw.timeout,
    autoRecovery,
  });
}

function fieldsOf(schema: Schema): string[] {
  return Object.keys(schema.properties as object);
}

function* entriesOf(value: unknown, place: Place, problems: ProblemList) {
  if (value === undefined) return;
  if (!Array.isArray(value)) {
    problems.add('shape-wrong', place, show(value), 'an array');
    return;
  }
  for (const [index, item] of boundedEntries(value, place, problems)) {
    const at = { file: place.file, pointer: pointerTo(place.pointer, index) };
    yield { item: item as unknown, place: at };
  }
}
