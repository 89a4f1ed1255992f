/**
 * What a container requires: `services` of `run.json`, or `PV_SERVICES_*` of `args.json` where that has
 * none. An entry is an object or a bare name; a comma-separated string stands for names.
 */

import type { RequirementEntry, Vocabulary } from './entries.js';
import {
  fieldsAreKnown,
  noteMisplaced,
  noteNearMisses,
  OF_RUN_SERVICES,
  ofRequirement,
} from './fields.js';
import { isObject, type JsonObject } from './json.js';
import { sidesOf } from './link-fields.js';
import { HTTP_FIELDS } from './link-values.js';
import { type Place, pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import type { Requirement } from './revision.js';
import { meets, named, name as nameSchema, type Schema } from './schema.js';
import { boundedEntries, optionsOf, SYSTEM_BUS } from './services.js';
import { isSound, targetIsSound } from './target.js';
import { isName } from './text.js';

const SIDES = sidesOf('requirement');
/** A requirement that is a name alone. */
export const BARE_NAME = named('bare-name', nameSchema('the name of a service'));

/** The fields that a requirement and an ingress rule share, under their canonical names. */
export type Wanted = Omit<Requirement, 'optional' | 'place'>;

const RUN_LISTS = ['required', 'optional'];
const ARGS_LISTS = ['PV_SERVICES_REQUIRED', 'PV_SERVICES_OPTIONAL'];
/** Where a program looks for the system bus that is told nothing else. */
const BUS_TARGET = '/run/dbus/system_bus_socket';

export function readRequirements(
  container: string,
  run: JsonObject,
  args: JsonObject,
  vocabulary: Vocabulary,
  problems: ProblemList,
): Requirement[] {
  const { services } = run;
  const [runFile, argsFile] = [`${container}/run.json`, `${container}/args.json`];
  noteNearMisses(run, ['services'], { file: runFile, pointer: '' }, problems, 'error');
  const inRun = { file: runFile, pointer: '/services' };
  if (services !== undefined && !isObject(services)) {
    problems.add('shape-wrong', inRun, show(services), 'an object with "required" and "optional"');
    return [];
  }
  if (services) {
    fieldsAreKnown(services, OF_RUN_SERVICES, inRun, problems);
  } else {
    noteNearMisses(args, ARGS_LISTS, { file: argsFile, pointer: '' }, problems, 'error');
  }
  const [lists, object, file, base] = services
    ? [RUN_LISTS, services, runFile, '/services']
    : [ARGS_LISTS, args, argsFile, ''];
  return lists.flatMap((key, index) => {
    const place = { file, pointer: pointerTo(base, key) };
    return readRequirementList(object[key], place, index === 1, vocabulary, problems);
  });
}

/** One list, `value`, that stands at `place`; undefined: there is none. */
export function readRequirementList(
  value: unknown,
  place: Place,
  optional: boolean,
  vocabulary: Vocabulary,
  problems: ProblemList,
): Requirement[] {
  if (value === undefined) return [];
  const names = typeof value === 'string' ? namesIn(value) : null;
  if (names === null && !Array.isArray(value)) {
    problems.add('shape-wrong', place, show(value), 'an array, or names with commas between them');
    return [];
  }
  const entries = [...boundedEntries(names ?? (value as unknown[]), place, problems)];
  return entries.flatMap(([index, item]) => {
    // Names in one string have no pointers of their own.
    const at = names ? place : { file: place.file, pointer: pointerTo(place.pointer, index) };
    const wanted = readRequirement(item, at, vocabulary, problems);
    return wanted ? [{ ...wanted, optional, place: at }] : [];
  });
}

/** One entry of such a list. Undefined after adding a problem, where it does not even say what it is about. */
export function readRequirement(
  item: unknown,
  place: Place,
  vocabulary: Vocabulary,
  problems: ProblemList,
): Wanted | undefined {
  if (typeof item === 'string') {
    return meets(BARE_NAME, item, place, problems) ? { name: item, role: 'any' } : undefined;
  }
  const before = problems.errors;
  const { requirement } = vocabulary.schemas;
  const wanted = readWanted(item, requirement, place, vocabulary, problems);
  const { tls } = wanted?.http ?? {};
  if (tls) {
    // Certificates are the host's own. To leave it out would serve in the clear what was to be encrypted.
    const at = { file: place.file, pointer: pointerTo(place.pointer, 'tls') };
    problems.add('shape-wrong', at, show(tls), 'it in the ingress of device.json only');
  }
  return problems.errors > before ? refused(item) : wanted;
}

/** What there is to show of an entry that was refused; nothing where it is not told what it is about. */
export function refused(item: unknown): Wanted | undefined {
  if (!isObject(item)) return undefined;
  const { names, role, provider } = item;
  const name = item.name ?? item.service ?? (names === undefined ? undefined : SYSTEM_BUS);
  const target = item.target ?? item.external ?? (names === undefined ? undefined : BUS_TARGET);
  if (typeof name !== 'string' || !isName(name)) return undefined;
  if (target !== undefined && !(typeof target === 'string' && isSound(target))) return undefined;
  return {
    name,
    ...(target === undefined ? {} : { target }),
    role: typeof role === 'string' && isName(role) ? role : 'any',
    ...(typeof provider === 'string' && isName(provider) ? { provider } : {}),
    refused: true,
  };
}

function namesIn(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** null is as good as absent, but for what limits access: some tools write all fields. */
function withoutNulls(item: JsonObject): JsonObject {
  const kept = Object.entries(item).filter(
    ([field, value]) => value !== null || field === 'allow_from',
  );
  return Object.fromEntries(kept);
}

/** Checks the entry, and settles the aliases; undefined after adding a problem. */
export function readWanted(
  item: unknown,
  schema: Schema<RequirementEntry>,
  place: Place,
  vocabulary: Vocabulary,
  problems: ProblemList,
): Wanted | undefined {
  const object = isObject(item) ? withoutNulls(item) : item;
  const fields = ofRequirement(vocabulary);
  const isKnown = !isObject(object) || fieldsAreKnown(object, fields, place, problems);
  if (!meets(schema, object, place, problems) || !isKnown) return undefined;
  const entry = object;
  const names = entry.names?.map((one) => (typeof one === 'string' ? one : one.name));
  const name = entry.name ?? entry.service ?? (names ? SYSTEM_BUS : undefined);
  if (name === undefined) {
    problems.add('shape-wrong', place, 'no "name"', 'the name of a service');
    return undefined;
  }
  if (names && name !== SYSTEM_BUS) {
    const at = { file: place.file, pointer: pointerTo(place.pointer, 'names') };
    problems.add('shape-wrong', at, `"names" of ${show(name)}`, `them of "${SYSTEM_BUS}" only`);
    return undefined;
  }
  const field = entry.target === undefined ? 'external' : 'target';
  const target = entry[field] ?? (names ? BUS_TARGET : undefined);
  const at = { file: place.file, pointer: pointerTo(place.pointer, field) };
  if (target !== undefined && !targetIsSound(target, entry.type, at, problems)) return undefined;
  for (const [field, rule] of Object.entries(vocabulary.requirement)) {
    if (entry.type && Object.hasOwn(entry, field)) {
      noteMisplaced(field, rule, entry.type, place, problems);
    }
  }
  const said: Readonly<Record<string, unknown>> = entry;
  const http = Object.entries(entry).filter(([field]) => Object.hasOwn(HTTP_FIELDS, field));
  const copied = SIDES.filter(([, field]) => said[field] !== undefined);
  return {
    ...Object.fromEntries(copied.map(([key, field]) => [key, said[field]])),
    name,
    role: entry.role ?? 'any',
    ...(names ? { names } : {}),
    ...(target === undefined ? {} : { target }),
    ...(entry.host === undefined ? {} : { host: entry.host.toLowerCase() }),
    ...(http.length === 0 ? {} : { http: Object.fromEntries(http) }),
    ...optionsOf(said, entry.type, vocabulary.options.requirement),
  };
}
