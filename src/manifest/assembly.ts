/**
 * The merged state to a revision: typed containers and device, in a fixed order.
 */

import { DEVICE_FILE, GROUPS_FILE, readDevice } from './device.js';
import type { Vocabulary } from './entries.js';
import type { Reading } from './folder.js';
import { isObject, type JsonObject } from './json.js';
import { type Place, show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import { readRequirements } from './requirements.js';
import type { ContainerManifest, Revision } from './revision.js';
import { readServices, servicesIn } from './services.js';
import { type ManifestFile, manifestKey } from './state.js';
import { byName, isName } from './text.js';
import { EXTERNAL, RUNTIME_PROVIDER } from './vocabulary.js';

const RESERVED = new Set([EXTERNAL, RUNTIME_PROVIDER]);

type Manifests = Map<ManifestFile, unknown>;

export function toRevision(
  state: ReadonlyMap<string, unknown>,
  vocabulary: Vocabulary,
  reading: Reading,
): Revision {
  const { problems } = reading;
  const unreadable = problems
    .files()
    .filter((file) => !state.has(file) && manifestKey(file)?.file === 'services.json')
    .map((file) => [manifestKey(file)?.container ?? '', file] as const);
  const containers: ContainerManifest[] = [];
  for (const [name, manifests] of manifestsByContainer(state)) {
    if (mayName(name, { file: name, pointer: '' }, problems)) {
      containers.push(readContainer(name, manifests, vocabulary, problems));
    }
  }
  const device = readDevice(state.get(DEVICE_FILE), state.get(GROUPS_FILE), vocabulary, problems);
  return {
    containers,
    unreadable: new Map(unreadable),
    device,
    problems: problems.list(),
    ...(reading.failed ? { failed: true } : {}),
    state: Object.fromEntries(state), // defines each key, "__proto__" too, as one of its own
  };
}

/** Whether a container may be called so; false after adding a problem. */
export function mayName(name: string, place: Place, problems: ProblemList): boolean {
  if (isName(name) && !RESERVED.has(name)) return true;
  const expected = `a name other than ${EXTERNAL} and ${RUNTIME_PROVIDER}`;
  problems.add('name-invalid', place, `a container named ${show(name)}`, expected);
  return false;
}

function manifestsByContainer(state: ReadonlyMap<string, unknown>): [string, Manifests][] {
  const found = new Map<string, Manifests>();
  for (const [key, value] of state) {
    const known = manifestKey(key);
    if (!known) continue;
    const manifests = found.get(known.container) ?? new Map<ManifestFile, unknown>();
    found.set(known.container, manifests.set(known.file, value));
  }
  return [...found].sort(([a], [b]) => byName(a, b));
}

function readContainer(
  name: string,
  manifests: Manifests,
  vocabulary: Vocabulary,
  problems: ProblemList,
): ContainerManifest {
  const run = readObject(manifests, name, 'run.json', problems);
  const args = readObject(manifests, name, 'args.json', problems);
  const services = manifests.get('services.json');
  const entries =
    services === undefined ? [] : servicesIn(services, `${name}/services.json`, problems);
  return {
    name,
    ...readServices(entries, vocabulary, problems),
    requirements: readRequirements(name, run, args, vocabulary, problems),
    run,
    args,
  };
}

function readObject(
  manifests: Manifests,
  container: string,
  file: 'run.json' | 'args.json',
  problems: ProblemList,
): JsonObject {
  const value = manifests.get(file);
  if (value === undefined) return {};
  if (isObject(value)) return value;
  const place = { file: `${container}/${file}`, pointer: '' };
  problems.add('shape-wrong', place, show(value), 'an object');
  return {};
}
