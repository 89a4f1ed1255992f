/**
 * What the runtime needs to know of a container, from its `run.json`, its `args.json` and its group. Pure; what is
 * wrong in them becomes a problem, and a default takes its place.
 */
import { isObject } from '../manifest/json.js';
import { type Place, type Problem, pointerTo, problem, show } from '../manifest/problem.js';
import type { ContainerManifest, DeviceGroup, Revision } from '../manifest/revision.js';
import { isName } from '../manifest/text.js';

export type RestartPolicy = 'system' | 'container';
/** Names of engines. */
export const CONTAINER_TYPES = ['namespace'] as const;
export type ContainerType = (typeof CONTAINER_TYPES)[number];
export type StatusGoal = 'MOUNTED' | 'STARTED' | 'READY';

export interface Group {
  readonly name: string;
  readonly statusGoal: StatusGoal;
  readonly restartPolicy: RestartPolicy;
  /** Seconds that the next group waits for this one. */
  readonly timeout: number;
}

export interface ContainerSettings {
  readonly name: string;
  /** Of its engine. */
  readonly type: ContainerType;
  /** Why it is never started, as the end of a sentence that begins with its name; null: it may be. */
  readonly obstacle: string | null;
  readonly group: Group;
  readonly statusGoal: StatusGoal;
  readonly restartPolicy: RestartPolicy;
  readonly roles: readonly string[];
  /** Program and arguments, of the type `namespace`; else empty. */
  readonly exec: readonly string[];
  /** Whether it has a network namespace of its own: with loopback alone, or with an address of `pool` too. */
  readonly ownNetwork: boolean;
  /** The network pool that it wants an address of, and the place of that wish in the manifests. */
  readonly pool?: { readonly name: string; readonly place: Place };
  readonly hostname: string;
}

export interface RuntimeSettings {
  /** In the order in which they start. */
  readonly groups: readonly Group[];
  /** In order of their names. */
  readonly containers: readonly ContainerSettings[];
  readonly problems: readonly Problem[];
}

const DEFAULT_TIMEOUT = 30;
const GROUPS: readonly Group[] = [
  { name: 'data', statusGoal: 'MOUNTED', restartPolicy: 'system', timeout: DEFAULT_TIMEOUT },
  { name: 'root', statusGoal: 'STARTED', restartPolicy: 'system', timeout: DEFAULT_TIMEOUT },
  { name: 'platform', statusGoal: 'STARTED', restartPolicy: 'system', timeout: DEFAULT_TIMEOUT },
  { name: 'app', statusGoal: 'STARTED', restartPolicy: 'container', timeout: DEFAULT_TIMEOUT },
];
const DEFAULT_GROUP = 'app';
const GOALS: readonly StatusGoal[] = ['MOUNTED', 'STARTED', 'READY'];
const POLICIES: readonly RestartPolicy[] = ['system', 'container'];
const HOSTNAME = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/;
const MAX_ARGUMENTS = 256;
/** The kernel's limit for one argument is MAX_ARG_STRLEN, with the NUL. */
const MAX_ARGUMENT = 128 * 1024 - 1;

export function runtimeSettings(revision: Revision): RuntimeSettings {
  const groups = groupsOf(revision.device.groups);
  const problems: Problem[] = [];
  const containers = revision.containers.map((manifest) =>
    containerSettings(manifest, groups, problems),
  );
  return { groups: [...groups.values()], containers, problems };
}

function groupsOf(declared: readonly DeviceGroup[]): Map<string, Group> {
  const groups = new Map(GROUPS.map((group) => [group.name, group]));
  for (const { name, statusGoal, restartPolicy, timeout } of declared) {
    groups.set(name, {
      name,
      statusGoal: statusGoal ?? groups.get(name)?.statusGoal ?? 'STARTED',
      restartPolicy: restartPolicy ?? groups.get(name)?.restartPolicy ?? 'container',
      timeout: timeout ?? DEFAULT_TIMEOUT,
    });
  }
  return groups;
}

function containerSettings(
  { name, run, args }: ContainerManifest,
  groups: Map<string, Group>,
  problems: Problem[],
): ContainerSettings {
  const file = `${name}/run.json`;
  const complain = (key: string, found: unknown, expected: string) =>
    problems.push(
      problem('shape-wrong', { file, pointer: pointerTo('', key) }, show(found), expected),
    );
  const wanted = run.group ?? args.PV_GROUP ?? DEFAULT_GROUP;
  const group = typeof wanted === 'string' ? groups.get(wanted) : undefined;
  if (!group) complain('group', wanted, `one of the groups ${[...groups.keys()].join(', ')}`);
  const fallback = group ?? (groups.get(DEFAULT_GROUP) as Group);
  const choose = <T extends string>(
    key: string,
    arg: string,
    values: readonly T[],
    other: T,
  ): T => {
    const value = run[key] ?? args[arg] ?? other;
    if ((values as readonly unknown[]).includes(value)) return value as T;
    complain(key, value, `one of ${values.join(', ')}`);
    return other;
  };
  if (!isExec(run.exec))
    complain('exec', run.exec, 'a program and its arguments: it is not started');
  const exec = isExec(run.exec) ? run.exec : [];
  return {
    name,
    type: 'namespace',
    obstacle: exec.length > 0 ? null : 'has nothing to run: give it "exec" in its run.json',
    group: fallback,
    statusGoal: choose('status_goal', 'PV_STATUS_GOAL', GOALS, fallback.statusGoal),
    restartPolicy: choose('restart_policy', 'PV_RESTART_POLICY', POLICIES, fallback.restartPolicy),
    roles: rolesOf(run.roles ?? args.PV_ROLES),
    exec,
    ...networkOf(name, run.network, args, complain),
  };
}

/** Where both say something, `run.json` counts. */
function networkOf(
  name: string,
  network: unknown,
  args: ContainerManifest['args'],
  complain: (key: string, found: unknown, expected: string) => void,
): Pick<ContainerSettings, 'ownNetwork' | 'pool' | 'hostname'> {
  const own = isObject(network) ? network : {};
  const pool = own.pool ?? (own.mode === undefined ? args.PV_NETWORK_POOL : undefined);
  const hostname = own.hostname ?? args.PV_NETWORK_HOSTNAME;
  const place =
    own.pool === undefined
      ? { file: `${name}/args.json`, pointer: '/PV_NETWORK_POOL' }
      : { file: `${name}/run.json`, pointer: '/network/pool' };
  const isPool = typeof pool === 'string' && isName(pool);
  if (pool !== undefined && !isPool) complain('network', pool, 'the name of a pool');
  const isHostname = typeof hostname === 'string' && HOSTNAME.test(hostname);
  if (hostname !== undefined && !isHostname) complain('network', hostname, 'a host name');
  return {
    ownNetwork: isPool || own.mode === 'none',
    ...(isPool ? { pool: { name: pool, place } } : {}),
    hostname: isHostname ? hostname : name,
  };
}

function isExec(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_ARGUMENTS) return false;
  const whole = value.every(
    (part) => typeof part === 'string' && part.length <= MAX_ARGUMENT && !part.includes('\0'),
  );
  return whole && value[0] !== '';
}

function rolesOf(value: unknown): string[] {
  const list = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(list)) return [];
  return list.filter((role): role is string => typeof role === 'string' && isName(role));
}
