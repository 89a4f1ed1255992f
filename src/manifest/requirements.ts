/**
 * What a container requires: `services` of `run.json`, or `PV_SERVICES_*` of `args.json` where that has
 * none. An entry is an object or a bare name; a comma-separated string stands for names.
 */

import { type HttpOptions, isOptionFault, readHttpOptions } from '../kernel/http-options.js';
import { isObject, type JsonObject } from './json.js';
import { noteMisplaced } from './misplaced.js';
import { type Place, pointerTo, show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import { REQUIREMENT_SCHEMA } from './requirement-schema.js';
import type { Requirement } from './revision.js';
import { meets } from './schema.js';
import { nameSchema } from './service-schema.js';
import { boundedEntries } from './services.js';
import { targetIsSound } from './target.js';
import type { ServiceType } from './vocabulary.js';

/** An entry that meets its schema. */
export interface Entry {
  readonly name?: string;
  readonly service?: string;
  readonly type?: ServiceType;
  readonly target?: string;
  readonly external?: string;
  readonly role?: string;
  readonly provider?: string;
  readonly interface?: string;
  readonly mode?: 'node' | 'fd';
  readonly host?: string;
  readonly proxy_protocol?: 1 | 2;
  readonly max_connections?: number;
  readonly allow_from?: readonly string[];
}

/** Fields that mean something for some types only; what is about clients from a network does not at a path. */
const FIELD_TYPES: Readonly<Partial<Record<keyof Entry, readonly ServiceType[]>>> = {
  max_connections: ['tcp', 'http'],
  allow_from: ['tcp', 'http'],
  host: ['http'],
};
/** For how HTTP is served. */
const HTTP_TYPES: readonly ServiceType[] = ['http', 'rest'];

const BARE_NAME = nameSchema('the name of a service');

/** The fields that a requirement and an ingress rule share, under their canonical names. */
export type Wanted = Omit<Requirement, 'optional' | 'place'>;

export function readRequirements(
  container: string,
  run: JsonObject,
  args: JsonObject,
  problems: ProblemList,
): Requirement[] {
  const services = run.services;
  const file = `${container}/${services === undefined ? 'args.json' : 'run.json'}`;
  if (services !== undefined && !isObject(services)) {
    const place = { file, pointer: '/services' };
    problems.add('shape-wrong', place, show(services), 'an object with "required" and "optional"');
    return [];
  }
  const lists: [unknown, string, boolean][] = services
    ? [
        [services.required, '/services/required', false],
        [services.optional, '/services/optional', true],
      ]
    : [
        [args.PV_SERVICES_REQUIRED, '/PV_SERVICES_REQUIRED', false],
        [args.PV_SERVICES_OPTIONAL, '/PV_SERVICES_OPTIONAL', true],
      ];
  return lists.flatMap(([value, pointer, optional]) =>
    readList(value, { file, pointer }, optional, problems),
  );
}

function readList(value: unknown, place: Place, optional: boolean, problems: ProblemList) {
  const requirements: Requirement[] = [];
  if (value === undefined) return requirements;
  const names = typeof value === 'string' ? namesIn(value) : null;
  if (names === null && !Array.isArray(value)) {
    problems.add('shape-wrong', place, show(value), 'an array, or names with commas between them');
    return requirements;
  }
  for (const [index, item] of boundedEntries(names ?? (value as unknown[]), place, problems)) {
    // Names in one string have no pointers of their own.
    const at = names ? place : { file: place.file, pointer: pointerTo(place.pointer, index) };
    const wanted = readEntry(item, at, problems);
    if (wanted) requirements.push({ ...wanted, optional, place: at });
  }
  return requirements;
}

function readEntry(item: unknown, place: Place, problems: ProblemList): Wanted | undefined {
  if (typeof item === 'string') {
    return meets(BARE_NAME, item, place, problems) ? { name: item, role: 'any' } : undefined;
  }
  if (!meets(REQUIREMENT_SCHEMA, item, place, problems)) return undefined;
  const { tls = null } = item as { tls?: unknown };
  if (tls !== null) {
    // Certificates are the host's own. To leave it out would serve in the clear what was to be encrypted.
    const at = { file: place.file, pointer: pointerTo(place.pointer, 'tls') };
    problems.add('shape-wrong', at, show(tls), 'it in the ingress of device.json only');
    return undefined;
  }
  return readWanted(item as Entry, place, problems);
}

function namesIn(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** Checks what a schema can't, and settles the aliases; undefined after adding a problem. */
export function readWanted(entry: Entry, place: Place, problems: ProblemList): Wanted | undefined {
  const name = entry.name ?? entry.service;
  if (name === undefined) {
    problems.add('shape-wrong', place, 'no "name"', 'the name of a service');
    return undefined;
  }
  const field = entry.target === undefined ? 'external' : 'target';
  const target = entry[field];
  const at = { file: place.file, pointer: pointerTo(place.pointer, field) };
  if (target !== undefined && !targetIsSound(target, entry.type, at, problems)) return undefined;
  for (const [field, types] of Object.entries(FIELD_TYPES)) {
    if (!entry.type || entry[field as keyof Entry] === undefined) continue;
    noteMisplaced(field, entry.type, types, place, problems);
  }
  const http = readHttp(entry, place, problems);
  if (!http) return undefined;
  return {
    name,
    ...(entry.type ? { type: entry.type } : {}),
    ...(target === undefined ? {} : { target }),
    role: entry.role ?? 'any',
    ...(entry.provider === undefined ? {} : { provider: entry.provider }),
    ...(entry.interface === undefined ? {} : { interface: entry.interface }),
    ...(entry.mode ? { mode: entry.mode } : {}),
    ...(entry.host === undefined ? {} : { host: entry.host.toLowerCase() }),
    ...(Object.keys(http).length === 0 ? {} : { http }),
    ...(entry.proxy_protocol ? { proxyProtocol: entry.proxy_protocol } : {}),
    ...(entry.max_connections ? { maxConnections: entry.max_connections } : {}),
    ...(entry.allow_from ? { allowFrom: entry.allow_from } : {}),
  };
}

/** How HTTP is served to it; undefined after adding a problem. */
function readHttp(entry: Entry, place: Place, problems: ProblemList): HttpOptions | undefined {
  const read = readHttpOptions({ ...entry });
  if (isOptionFault(read)) {
    const pointer = read.path.reduce(pointerTo, place.pointer);
    problems.add('shape-wrong', { file: place.file, pointer }, show(read.found), read.expected);
    return undefined;
  }
  const { type } = entry;
  if (!type) return read;
  for (const field of Object.keys(read)) {
    noteMisplaced(field, type, HTTP_TYPES, place, problems);
  }
  return read;
}
