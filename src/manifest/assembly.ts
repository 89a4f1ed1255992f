/**
 * The merged state to a revision: typed containers and device, in a fixed order.
 */

import { DEVICE_FILE, NO_DEVICE, readDevice } from './device.js';
import type { Vocabulary } from './entries.js';
import type { Reading } from './folder.js';
import { isObject, type JsonObject } from './json.js';
import { show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import { readRequirements } from './requirements.js';
import type { ContainerManifest, Revision } from './revision.js';
import { readServices } from './services.js';
import { type ManifestFile, manifestKey } from './state.js';
import { byName, isName } from './text.js';
import { EXTERNAL, RUNTIME_PROVIDER } from './vocabulary.js';

const RESERVED = new Set([EXTERNAL, RUNTIME_PROVIDER]);

const NO_SERVICES = { services: [], refused: [] };

type Manifests = Map<ManifestFile, unknown>;

export function toRevision(
  state: ReadonlyMap<string, unknown>,
  vocabulary: Vocabulary,
  reading: Reading,
): Revision {
  const { problems } = reading;
  const unreadable = problems
    .files()
    .filter((file) => !state.has(file))
    .flatMap((file) => manifestKey(file) ?? [])
    .flatMap(({ container, file }) => (file === 'services.json' ? [container] : []));
  const containers: ContainerManifest[] = [];
  for (const [name, manifests] of manifestsByContainer(state)) {
    if (isName(name) && !RESERVED.has(name)) {
      containers.push(readContainer(name, manifests, vocabulary, problems));
    } else {
      const found = `a container named ${show(name)}`;
      const expected = `a name other than ${EXTERNAL} and ${RUNTIME_PROVIDER}`;
      problems.add('name-invalid', { file: name, pointer: '' }, found, expected);
    }
  }
  const device = state.has(DEVICE_FILE)
    ? readDevice(state.get(DEVICE_FILE), vocabulary, problems)
    : NO_DEVICE;
  return {
    containers,
    unreadable,
    device,
    problems: problems.list(),
    ...(reading.failed ? { failed: true } : {}),
    state: Object.fromEntries(state), // defines each key, "__proto__" too, as one of its own
  };
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
  const file = `${name}/services.json`;
  return {
    name,
    ...(services === undefined ? NO_SERVICES : readServices(services, file, vocabulary, problems)),
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
