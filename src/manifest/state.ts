/**
 * The state: JSON by relative path. Checks one, and merges several, a later one winning a key.
 */
import { isDeepStrictEqual } from 'node:util';
import { DEVICE_FILE, GROUPS_FILE } from './device.js';
import { isObject } from './json.js';
import { MAX_MANIFEST } from './limits.js';
import { pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';

export const STATE_SPEC = 'pantavisor-service-system@1';
export const MANIFEST_FILES = ['run.json', 'services.json', 'args.json'] as const;
export type ManifestFile = (typeof MANIFEST_FILES)[number];

/** What one source says, under the keys of a state. A Map, so that no key is special. */
export interface Layer {
  /** How the source is called when two disagree. */
  readonly source: string;
  readonly values: ReadonlyMap<string, unknown>;
}

/** Folders of a revision that are never containers: Pantavisor's board support, and its own. */
export function mayBeContainer(folder: string): boolean {
  if (folder === '_pv_') return true; // refused by name later, rather than in silence
  return folder !== 'bsp' && !folder.startsWith('.') && !folder.startsWith('_');
}

/** `web/run.json` as its parts; undefined for every other key. */
export function manifestKey(key: string): { container: string; file: ManifestFile } | undefined {
  const [container, name, ...deeper] = key.split('/');
  const file = MANIFEST_FILES.find((known) => known === name);
  if (!container || !file || deeper.length > 0 || !mayBeContainer(container)) return undefined;
  return { container, file };
}

/** The keys of one parsed state; undefined where it is none. `size`: bytes that it was parsed from. */
export function readState(value: unknown, size: number, file: string, problems: ProblemList) {
  if (!isObject(value)) {
    problems.add('shape-wrong', { file, pointer: '' }, show(value), 'an object, the state');
    return undefined;
  }
  const spec = Object.hasOwn(value, '#spec') ? value['#spec'] : undefined;
  if (spec !== STATE_SPEC) {
    const pointer = spec === undefined ? '' : pointerTo('', '#spec');
    const found = spec === undefined ? 'no "#spec"' : `the "#spec" ${show(spec)}`;
    problems.add('spec-wrong', { file, pointer }, found, `"${STATE_SPEC}"`);
    return undefined;
  }
  const values = new Map(Object.entries(value));
  if (size > MAX_MANIFEST) refuseLarge(values, problems);
  return values;
}

/** One state of several. What is silently equal in two of them is no news. */
export function mergeLayers(layers: readonly Layer[], problems: ProblemList): Map<string, unknown> {
  const merged = new Map<string, unknown>();
  const sources = new Map<string, string>();
  for (const { source, values } of layers) {
    for (const [key, value] of values) {
      const earlier = sources.get(key);
      if (earlier !== undefined && !isDeepStrictEqual(merged.get(key), value)) {
        const found = `the key in ${earlier} and, other than there, in ${source}, which wins`;
        problems.add('key-overridden', { file: key, pointer: '' }, found, 'it in one', 'notice');
      }
      merged.set(key, value);
      sources.set(key, source);
    }
  }
  return merged;
}

function refuseLarge(values: Map<string, unknown>, problems: ProblemList): void {
  for (const [key, value] of values) {
    if (key !== DEVICE_FILE && key !== GROUPS_FILE && !manifestKey(key)) continue;
    const bytes = Buffer.byteLength(JSON.stringify(value));
    if (bytes <= MAX_MANIFEST) continue;
    const place = { file: key, pointer: '' };
    problems.add('file-too-large', place, `${bytes} bytes`, `at most ${MAX_MANIFEST}`);
    values.delete(key);
  }
}
