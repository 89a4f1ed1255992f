/**
 * The states of links that the daemon posts to pv-ctrl, and the graph with these states.
 *
 * A post comes over a socket, so it is checked: where one entry is wrong, the whole post is refused.
 */
import { type Link, linkId, stateOfError } from '../graph/link.js';
import { linkToWire, type WireLink } from '../graph/wire.js';
import type { ErrorCode } from '../kernel/errors.js';
import { ok, type WhyResult } from '../kernel/result.js';
import { isObject } from '../manifest/json.js';
import { MAX_ENTRIES, MAX_STRING } from '../manifest/limits.js';
import { pointerTo, show } from '../manifest/problem.js';

export interface PostedStatus {
  readonly consumer: string;
  readonly name: string;
  readonly target: string;
  readonly established: boolean;
  readonly last_error: Readonly<Record<string, unknown>> | string | null;
}

/** The entries as they were posted. `why`: one sentence on what is wrong. */
export function parseStatus(value: unknown): WhyResult<readonly PostedStatus[]> {
  const fault = faultOf(value);
  return fault === undefined ? ok(value as PostedStatus[]) : { ok: false, why: fault };
}

function faultOf(value: unknown): string | undefined {
  if (!Array.isArray(value)) return `Found ${show(value)}, expected an array.`;
  if (value.length > MAX_ENTRIES) {
    return `Found ${value.length} entries, expected at most ${MAX_ENTRIES}.`;
  }
  for (const [index, entry] of value.entries()) {
    const fault = entryFault(entry);
    if (fault) return `${pointerTo('', index)}${fault}`;
  }
  return undefined;
}

function entryFault(entry: unknown): string | undefined {
  if (!isObject(entry)) return `: found ${show(entry)}, expected an object.`;
  for (const key of ['consumer', 'name', 'target']) {
    const value = entry[key];
    const isSaid = value !== '' || key === 'target'; // nobody may know that of a requirement that is unmet
    if (typeof value === 'string' && isSaid && value.length <= MAX_STRING) continue;
    return `/${key}: found ${show(value)}, expected text.`;
  }
  if (typeof entry.established !== 'boolean') {
    return `/established: found ${show(entry.established)}, expected true or false.`;
  }
  const error = entry.last_error;
  if (error === null || isObject(error) || typeof error === 'string') return undefined;
  return `/last_error: found ${show(error)}, expected an error or null.`;
}

/** The wire form of the graph, each link with the state that the daemon last gave it. */
export function joinStatus(links: readonly Link[], entries: readonly PostedStatus[]): WireLink[] {
  const posted = new Map(entries.map((entry) => [linkId(entry), entry]));
  return links.map((link) => {
    const entry = posted.get(linkId(link));
    const error = entry?.last_error ?? link.error ?? null;
    const state = entry?.established ? 'established' : stateOf(error);
    return { ...linkToWire(link), state, last_error: error };
  });
}

/** It is no failure that a container or its socket is not there yet. */
const WAITING: ReadonlySet<unknown> = new Set<ErrorCode>([
  'consumer-not-running',
  'provider-not-running',
  'provider-socket-missing',
  'container-gone',
]);

function stateOf(error: unknown): string {
  if (error === null) return 'waiting';
  if (!isObject(error)) return 'failed';
  return WAITING.has(error.code) ? 'waiting' : stateOfError(error.code);
}
