/**
 * What is to run of a revision, decided as a whole before anything of it is started: its groups, its containers with
 * their addresses and files, and by what it is known whether one of them is another than before. Pure.
 */
import type { Dependencies } from '../graph/activation-cycle.js';
import { buildGraph } from '../graph/builder.js';
import { unhosted } from '../graph/hosted-bus.js';
import { type Problem, show } from '../manifest/problem.js';
import type { Revision } from '../manifest/revision.js';
import { byName } from '../manifest/text.js';
import { type Lease, planAddresses } from './address-plan.js';
import { type ContainerSettings, type Group, runtimeSettings } from './container-settings.js';
import type { ContainerFiles, EngineContainer } from './engines/engine.js';
import { type ObjectLookup, revisionFiles } from './revision-files.js';

export interface RevisionPlan {
  /** By which the revision is kept. */
  readonly name: string;
  readonly revision: Revision;
  /** In the order in which they start. */
  readonly groups: readonly Group[];
  /** By name, in order of the names. */
  readonly containers: ReadonlyMap<string, PlannedContainer>;
  readonly dependencies: Dependencies;
  /** By container, the first of each. */
  readonly addresses: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

export interface PlannedContainer extends EngineContainer {
  /** Another text where anything that it is made from is another. */
  readonly fingerprint: string;
}

export interface PlanOptions {
  readonly rootless: boolean;
  /** By container, the addresses of the revision that runs. */
  readonly held: ReadonlyMap<string, readonly Lease[]>;
  /** What a container has of its revision, beside its objects. */
  readonly filesOf: (container: string) => ContainerFiles;
  readonly objects: ObjectLookup;
  /** Folders of the host that a container may mount. */
  readonly allowed: readonly string[];
}

export function planRevision(name: string, revision: Revision, options: PlanOptions): RevisionPlan {
  const settings = runtimeSettings(revision);
  const graph = buildGraph(revision, new Map(), unhosted(revision));
  const { allowed, filesOf, held, objects, rootless } = options;
  const found = revisionFiles(revision, settings.containers, objects, allowed);
  const { baked } = found;
  const pools = revision.device.pools;
  const addresses = planAddresses(pools, settings.containers, { rootless, held, baked });
  const keys = keysByContainer(revision.state);
  const containers = settings.containers.map((wanted) => {
    const leases = addresses.leases.get(wanted.name);
    const container: EngineContainer = {
      settings: withObstacle(withAddress(wanted, leases), found.obstacles.get(wanted.name)),
      leases: leases ?? [],
      files: { ...found.files.get(wanted.name), ...filesOf(wanted.name) },
    };
    const fingerprint = JSON.stringify([container, keys.get(wanted.name) ?? []], asText);
    return [wanted.name, { ...container, fingerprint }] as const;
  });
  return {
    name,
    revision,
    groups: settings.groups,
    containers: new Map(containers),
    dependencies: graph.dependencies,
    addresses: new Map(
      [...addresses.leases].map(([container, [first]]) => [container, first?.ip ?? '']),
    ),
    problems: [
      ...revision.problems,
      ...graph.problems,
      ...settings.problems,
      ...found.problems,
      ...addresses.problems,
    ],
  };
}

/** What the state says of each container: its own folder, and its folder of `_config`. */
function keysByContainer(state: Revision['state']): Map<string, [string, unknown][]> {
  const found = new Map<string, [string, unknown][]>();
  for (const key of Object.keys(state).sort(byName)) {
    const [first = '', second = ''] = key.split('/', 2);
    const container = first === '_config' ? second : first;
    const keys = found.get(container) ?? [];
    keys.push([key, state[key]]);
    found.set(container, keys);
  }
  return found;
}

/** For JSON: what it has no form for. */
function asText(_key: string, value: unknown): unknown {
  if (value instanceof Map) return [...value];
  return typeof value === 'bigint' ? String(value) : value;
}

function withObstacle(
  settings: ContainerSettings,
  obstacle: string | undefined,
): ContainerSettings {
  return obstacle === undefined ? settings : { ...settings, obstacle };
}

/** Without its address a container is not started: others than those meant could reach it, or nobody. */
function withAddress(
  settings: ContainerSettings,
  leases: readonly Lease[] | undefined,
): ContainerSettings {
  const [first] = settings.interfaces;
  if (first === undefined || leases) return settings;
  return {
    ...settings,
    obstacle: `has no address of the pool ${show(first.pool.value)}: correct that first`,
  };
}
