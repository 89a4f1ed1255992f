/**
 * The wire form of links, as `GET /xconnect-graph` has it: written in one fixed order of fields, and read
 * from any runtime that has at least the ten fixed ones.
 *
 * Reading is strict on types and bounds, because every string here ends up in a path, an address or a log; a bad
 * entry takes out itself alone, and is shown as failed where it says whose it is. What is reported about a link
 * (`state`, counters) is never part of what is wanted, so it is dropped on input: a graph that is read back stays the
 * same graph.
 */

import type { LinkError } from '../kernel/errors.js';
import { isRule, MAX_RULES } from '../kernel/http-options.js';
import { isNetwork } from '../manifest/address.js';
import { isObject, type JsonObject } from '../manifest/json.js';
import { MAX_CONNECTIONS, MAX_ENTRIES, MAX_NETWORKS } from '../manifest/limits.js';
import { pointerTo, show } from '../manifest/problem.js';
import { isBusName } from '../manifest/text.js';
import { beyondReach, defaultTarget, targetError } from './endpoint.js';
import { EntryReader } from './entry-reader.js';
import { type Link, linkId, RUNTIME_PROVIDER } from './link.js';

/** Errors of one graph that are said one by one. */
const MAX_ERRORS = 100;
/** Written by the daemon, see status/: no part of a link. */
const REPORTED = ['state', 'last_error', 'since', 'connections', 'bytes', 'security_context'];
const KNOWN = new Set([
  ...['consumer', 'consumer_pid', 'provider', 'provider_pid', 'name', 'type', 'role', 'interface'],
  ...['target', 'socket', 'transport', 'uid', 'activates', 'policy', 'policy_mode', 'mode', 'fds'],
  ...['device', 'access', 'lease', 'match', 'host', 'error'],
  ...['proxy_protocol', 'max_connections', 'allow_from', 'rules', 'http'],
  ...REPORTED,
]);

export type WireLink = Record<string, unknown>;

/** A plain object, the ten fixed fields first, then ours where they are set, then what was kept for others. */
export function linkToWire(link: Link): WireLink {
  return {
    consumer: link.consumer,
    consumer_pid: link.consumerPid,
    provider: link.provider,
    provider_pid: link.providerPid,
    name: link.name,
    type: link.type,
    role: link.role,
    interface: link.interface,
    target: link.target,
    socket: link.socket,
    ...(link.transport === undefined ? {} : { transport: link.transport }),
    ...(link.uid === undefined ? {} : { uid: link.uid }),
    ...(link.policy === undefined ? {} : { policy: link.policy }),
    ...(link.policyMode === undefined ? {} : { policy_mode: link.policyMode }),
    ...(link.activates === undefined ? {} : { activates: link.activates }),
    ...(link.mode === undefined ? {} : { mode: link.mode }),
    ...(link.fds === undefined ? {} : { fds: link.fds }),
    ...(link.device === undefined ? {} : { device: link.device }),
    ...(link.access === undefined ? {} : { access: link.access }),
    ...(link.lease === undefined ? {} : { lease: link.lease }),
    ...(link.match === undefined ? {} : { match: link.match }),
    ...(link.host === undefined ? {} : { host: link.host }),
    ...(link.proxyProtocol === undefined ? {} : { proxy_protocol: link.proxyProtocol }),
    ...(link.maxConnections === undefined ? {} : { max_connections: link.maxConnections }),
    ...(link.allowFrom === undefined ? {} : { allow_from: link.allowFrom }),
    ...(link.rules === undefined ? {} : { rules: link.rules }),
    ...(link.http === undefined ? {} : { http: link.http }),
    ...(link.error === undefined ? {} : { error: link.error }),
    ...link.extra,
  };
}

export interface ParsedGraph {
  /** Those that can't be read, but for whose they are, come last, with the error `runtime-answer`. */
  readonly links: readonly Link[];
  /** One sentence each; not empty means that something was left out. */
  readonly errors: readonly string[];
}

/** Never throws; `json` is what JSON.parse gave. */
export function parseGraph(json: unknown): ParsedGraph {
  if (!Array.isArray(json)) {
    return { links: [], errors: [`Found ${show(json)}, expected an array of links.`] };
  }
  const links = new Map<string, Link>();
  const errors: string[] = [];
  const activatable = new Map<string, string[]>();
  const failed: Link[] = [];
  for (const [index, entry] of json.slice(0, MAX_ENTRIES).entries()) {
    if (isAboutName(entry)) {
      noteActivatable(entry, activatable);
      continue;
    }
    const link = parseLink(entry);
    if (typeof link === 'string') {
      errors.push(`${pointerTo('', index)}${link}`);
      const shown = unreadable(entry, link);
      if (shown) failed.push(shown);
    } else if (links.has(linkId(link))) {
      const what = `${show(link.name)} of ${show(link.consumer)} at ${show(link.target)}`;
      errors.push(`${pointerTo('', index)}: found ${what} again, expected each link once.`);
    } else links.set(linkId(link), link);
  }
  for (const link of failed) if (!links.has(linkId(link))) links.set(linkId(link), link);
  if (json.length > MAX_ENTRIES) {
    errors.unshift(
      `Found ${json.length} links, expected at most ${MAX_ENTRIES}: the rest is left out.`,
    );
  }
  const all = [...links.values()].map((link) => withActivatable(link, activatable));
  return { links: all, errors: bounded(errors) };
}

/** Pantavisor says between its links what it knows about names of its bus: `activatable` and `consumes`. */
function isAboutName(entry: unknown): entry is JsonObject {
  return (
    isObject(entry) && !('provider' in entry) && ('activatable' in entry || 'consumes' in entry)
  );
}

/** By the socket of the bus. */
function noteActivatable({ activatable, socket }: JsonObject, names: Map<string, string[]>): void {
  if (typeof activatable !== 'string' || !isBusName(activatable)) return;
  if (typeof socket !== 'string') return;
  names.set(socket, [...(names.get(socket) ?? []), activatable]);
}

function withActivatable(link: Link, names: ReadonlyMap<string, string[]>): Link {
  const activates = names.get(link.socket);
  if (!activates || link.activates || link.provider !== RUNTIME_PROVIDER) return link;
  return { ...link, activates };
}

/** The link, or what is wrong: `/field: found ..., expected ....` */
function parseLink(entry: unknown): Link | string {
  if (!isObject(entry)) return `: found ${show(entry)}, expected an object.`;
  const read = new EntryReader(entry);
  const failed = read.optionalError();
  // Of a link that can't be made it need not be known where it would lead.
  const needed = (field: string) =>
    failed.error ? (read.optionalText(field) ?? '') : read.text(field);
  const [name, type, socket] = [read.text('name'), needed('type'), needed('socket')];
  const device = read.optional('device', ['node', 'fd'] as const);
  const target =
    read.optionalText('target') || defaultTarget(name, type, socket || undefined) || '';
  const link: Link = {
    consumer: read.text('consumer'),
    consumerPid: read.pid('consumer_pid'),
    provider: needed('provider'),
    providerPid: read.pid('provider_pid'),
    name,
    type,
    role: read.optionalText('role') || 'any',
    interface: read.optionalText('interface') || type,
    target,
    socket,
    ...read.optional('transport', ['unix', 'tcp'] as const),
    ...read.optionalId('uid'),
    ...read.optionalPolicy(),
    ...read.optionalMode(),
    ...readActivates(read),
    ...read.optional('mode', ['stream', 'seqpacket', 'dgram'] as const),
    ...read.optional('fds', [true, false] as const),
    ...device,
    ...read.optional('access', ['ro', 'rw'] as const),
    ...read.optionalLease(),
    ...read.optionalMatch(),
    ...read.optionalHost(),
    ...readTcpFields(read),
    ...readHttpFields(read),
    ...targetFault(target, type, device.device),
    ...failed,
    ...read.extra(KNOWN),
  };
  return read.fault ?? link;
}

/** Nobody could be given it, or nobody could connect there. */
function targetFault(target: string, type: string, device: Link['device']): { error?: LinkError } {
  const fault =
    target === ''
      ? { found: `no target for type ${type}`, expected: 'IP:PORT' }
      : beyondReach(target, type, device);
  return fault ? { error: targetError(fault) } : {};
}

/** What there is to show of an entry that can't be read; undefined where it does not say which link it is about. */
function unreadable(entry: unknown, fault: string): Link | undefined {
  if (!isObject(entry)) return undefined;
  const read = new EntryReader(entry);
  const [consumer, name] = [read.text('consumer'), read.text('name')];
  const target = read.optionalText('target') ?? '';
  if (read.fault) return undefined;
  const lenient = (field: string) => new EntryReader(entry).optionalText(field) ?? '';
  const type = lenient('type');
  return {
    consumer,
    consumerPid: new EntryReader(entry).pid('consumer_pid'),
    provider: lenient('provider'),
    providerPid: new EntryReader(entry).pid('provider_pid'),
    name,
    type,
    role: 'any',
    interface: type,
    target: target || defaultTarget(name, type, undefined) || '',
    socket: '',
    error: { code: 'runtime-answer', message: `Its entry in the graph can't be read: ${fault}` },
  };
}

function readActivates(read: EntryReader) {
  const activates = read.optionalList('activates', MAX_ENTRIES, isBusName, 'bus names');
  return activates === undefined ? {} : { activates };
}

function readTcpFields(read: EntryReader) {
  const { proxy_protocol: proxyProtocol } = read.optional('proxy_protocol', [1, 2] as const);
  const maxConnections = read.optionalNumber('max_connections', 1, MAX_CONNECTIONS);
  const allowFrom = read.optionalList('allow_from', MAX_NETWORKS, isNetwork, 'networks');
  return {
    ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(allowFrom === undefined ? {} : { allowFrom }),
  };
}

function readHttpFields(read: EntryReader) {
  const rules = read.optionalList('rules', MAX_RULES, isRule, 'rules');
  const http = read.optionalHttp();
  return {
    ...(rules === undefined ? {} : { rules }),
    ...(http === undefined ? {} : { http }),
  };
}

function bounded(errors: readonly string[]): string[] {
  if (errors.length <= MAX_ERRORS) return [...errors];
  return [...errors.slice(0, MAX_ERRORS), `${errors.length - MAX_ERRORS} more entries are wrong.`];
}
