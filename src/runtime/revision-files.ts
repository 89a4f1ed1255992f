/**
 * What each container has of its revision as files, from the state and from the objects that it names; what is wrong
 * with them; and the addresses that stand in the configuration of an `lxc` container.
 */
import { objectsOf } from '../manifest/objects.js';
import { type Problem, problem } from '../manifest/problem.js';
import type { Revision } from '../manifest/revision.js';
import type { BakedNetwork } from './address-plan.js';
import type { ContainerSettings } from './container-settings.js';
import type { ContainerFiles } from './engines/engine.js';
import { bakedIn, readConfiguration } from './engines/lxc/configuration.js';

export interface ObjectLookup {
  /** Of the host. Undefined: the object is not there. */
  pathOf(sha256: string): string | undefined;
  /** The bytes as text. Undefined: it is not there, or not read here. */
  textOf(sha256: string): string | undefined;
}

export interface RevisionFiles {
  /** By container. */
  readonly files: ReadonlyMap<string, Pick<ContainerFiles, 'objects' | 'config'>>;
  readonly baked: ReadonlyMap<string, BakedNetwork>;
  /** By container, why it is never started, as `ContainerSettings.obstacle` has it. */
  readonly obstacles: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

/** `allowed`: folders of the host that a container may mount. */
export function revisionFiles(
  { state }: Pick<Revision, 'state'>,
  containers: readonly ContainerSettings[],
  lookup: ObjectLookup,
  allowed: readonly string[],
): RevisionFiles {
  const named = objectsOf(state);
  const files = new Map<string, Pick<ContainerFiles, 'objects' | 'config'>>();
  const baked = new Map<string, BakedNetwork>();
  const obstacles = new Map<string, string>();
  const problems: Problem[] = [];
  for (const settings of containers) {
    const { name, type } = settings;
    files.set(name, filesOf(name, state, named, lookup));
    if (type !== 'lxc') continue;
    const needed = [settings.root, settings.config, ...settings.volumes];
    const missing = needed.find(
      (file) => file !== undefined && !isThere(name, file, state, lookup),
    );
    if (missing !== undefined) {
      const place = { file: `${name}/${missing}`, pointer: '' };
      problems.push(
        problem('object-missing', place, 'no bytes of it', 'an object of the revision'),
      );
      obstacles.set(name, `has no ${missing} in the revision: export it anew`);
    }
    if (settings.config === undefined) continue;
    const text = lookup.textOf(String(state[`${name}/${settings.config}`]));
    if (text === undefined) continue;
    const configuration = readConfiguration(text, allowed);
    baked.set(name, bakedIn(configuration));
    for (const { expected, found, line } of configuration.faults) {
      const place = { file: `${name}/${settings.config}`, pointer: `line ${line}` };
      problems.push(problem('lxc-refused', place, found, expected));
      obstacles.set(name, `has a ${settings.config} that is refused: correct its line ${line}`);
    }
  }
  return { files, baked, obstacles, problems };
}

function isThere(
  container: string,
  file: string,
  state: Revision['state'],
  lookup: ObjectLookup,
): boolean {
  const sha256 = state[`${container}/${file}`];
  return typeof sha256 === 'string' && lookup.pathOf(sha256) !== undefined;
}

/** `named`: the objects of the state, by key. */
function filesOf(
  container: string,
  state: Revision['state'],
  named: ReadonlyMap<string, string>,
  lookup: ObjectLookup,
): Pick<ContainerFiles, 'objects' | 'config'> {
  const [own, laid] = [`${container}/`, `_config/${container}/`];
  const objects: Record<string, string> = {};
  const config: Record<string, { readonly path: string } | { readonly text: string }> = {};
  for (const [key, value] of Object.entries(state)) {
    const isOwn = key.startsWith(own);
    if (!isOwn && !key.startsWith(laid)) continue;
    const sha256 = named.get(key);
    const path = sha256 === undefined ? undefined : lookup.pathOf(sha256);
    if (isOwn) {
      if (path !== undefined) objects[key.slice(own.length)] = path;
      continue;
    }
    const at = key.slice(laid.length);
    if (path !== undefined) config[at] = { path };
    else if (sha256 === undefined) config[at] = { text: `${JSON.stringify(value)}\n` };
  }
  return { objects, config };
}
