/**
 * What another graph changes: links that appear, vanish or change, and what somebody may do afterwards that was not
 * possible before, or the other way round. Pure.
 *
 * Whoever runs makes no difference, nor does what depends on that: pids, uids, the address of a provider's container.
 * A link that can't be made gives no access.
 */
import { isDeepStrictEqual } from 'node:util';
import { LINK_FIELDS, type LinkField, type LinkKey, ROWS } from '../manifest/link-fields.js';
import { EXTERNAL, type Link, linkId, RUNTIME_PROVIDER } from './link.js';
import { byIdentity, byOrder, COMPARE, NO_RIGHTS, type Rights } from './rights.js';

export interface FieldChange {
  /** By its name in the wire form. */
  readonly field: string;
  /** Undefined: it is absent. */
  readonly before?: unknown;
  readonly after?: unknown;
}

export interface LinkChange {
  readonly before: Link;
  readonly after: Link;
  readonly fields: readonly FieldChange[];
}

/** One thing that somebody may do. */
export interface Access {
  /** Whose: a container, `EXTERNAL`, or null where it is a role's or everybody's. */
  readonly consumer: string | null;
  readonly role: string | null;
  readonly provider: string;
  /** The service, or the name on a bus. */
  readonly name: string;
  readonly target: string | null;
  /** Which field gives it, by its name in the wire form or in services.json; `link`: that the link is there. */
  readonly field: string;
  /** As a short phrase; empty for a link. */
  readonly what: string;
}

export interface AccessDifference {
  readonly gained: readonly Access[];
  readonly lost: readonly Access[];
}

export interface GraphDifference {
  readonly appeared: readonly Link[];
  readonly vanished: readonly Link[];
  readonly changed: readonly LinkChange[];
  readonly access: AccessDifference;
}

/** Fields that two graphs may differ in, with how their values are compared as access. */
const COMPARED = ROWS.filter(([, { live }]) => live !== true).map(([key, field]) => {
  return { key, wire: field.wire, absent: field.absent, compare: comparisonOf(field) };
});

function comparisonOf({ wire, access }: LinkField<unknown>) {
  if (access === undefined) return byIdentity(wire);
  return typeof access === 'string' ? COMPARE[access] : byOrder(access.order, wire);
}

export function compareGraphs(before: readonly Link[], after: readonly Link[]): GraphDifference {
  const old = new Map(before.map((link) => [linkId(link), link]));
  const now = new Map(after.map((link) => [linkId(link), link]));
  const appeared = [...now].flatMap(([id, link]) => (old.has(id) ? [] : [link]));
  const vanished = [...old].flatMap(([id, link]) => (now.has(id) ? [] : [link]));
  const gained = appeared.flatMap(ofLink);
  const lost = vanished.flatMap(ofLink);
  const changed: LinkChange[] = [];
  for (const [id, link] of old) {
    const next = now.get(id);
    const fields = next ? changesOf(link, next) : [];
    if (!next || fields.length === 0) continue;
    changed.push({ before: link, after: next, fields });
    if (link.error || next.error) {
      if (!next.error) gained.push(...ofLink(next));
      if (!link.error) lost.push(...ofLink(link));
      continue;
    }
    for (const { field, rights } of rightsOf(link, next)) {
      gained.push(...rights.gained.map((what) => accessOf(next, field, what)));
      lost.push(...rights.lost.map((what) => accessOf(link, field, what)));
    }
  }
  return { appeared, vanished, changed, access: { gained, lost } };
}

function ofLink(link: Link): Access[] {
  return link.error ? [] : [accessOf(link, 'link', '')];
}

function accessOf(link: Link, field: string, what: string): Access {
  const { consumer, role, provider, name, target } = link;
  return {
    consumer,
    role: consumer === EXTERNAL ? null : role,
    provider,
    name,
    target,
    field,
    what,
  };
}

function changesOf(before: Link, after: Link): FieldChange[] {
  const changes: FieldChange[] = COMPARED.flatMap(({ key, wire, absent }) => {
    const [old, now] = [meantBy(before, key, absent), meantBy(after, key, absent)];
    return isDeepStrictEqual(old, now) ? [] : [change(wire, before[key], after[key])];
  });
  return [...changes, ...extraOf(before, after)];
}

function change(field: string, before: unknown, after: unknown): FieldChange {
  return {
    field,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}

/** Fields of plugins, and of a foreign graph. */
function extraOf({ extra: old = {} }: Link, { extra: now = {} }: Link): FieldChange[] {
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].flatMap((key) =>
    isDeepStrictEqual(old[key], now[key]) ? [] : [change(key, old[key], now[key])],
  );
}

function rightsOf(before: Link, after: Link): { field: string; rights: Rights }[] {
  const [old, now] = [enforced(before), enforced(after)];
  const ours = COMPARED.map(({ key, wire, absent, compare }) => {
    const values = [meantBy(old, key, absent), meantBy(now, key, absent)] as const;
    const rights = isDeepStrictEqual(...values) ? NO_RIGHTS : compare(...values);
    return { field: wire, rights };
  });
  const others = extraOf(before, after).map((one) => {
    return { field: one.field, rights: byIdentity(one.field)(one.before, one.after) };
  });
  return [...ours, ...others];
}

/** In audit mode a policy refuses nothing. */
function enforced(link: Link): Link {
  if (link.policyMode !== 'audit') return link;
  const { policy: _, ...others } = link;
  return others;
}

/** As it is compared: without what depends on who runs, and with what an absence means. */
function meantBy(link: Link, key: LinkKey, absent: unknown): unknown {
  if (key === 'socket') return reached(link);
  return link[key] ?? absent;
}

/** The provider's own pool has the address, and the runtime the place of its bus. */
function reached({ socket, provider }: Link): string {
  if (provider === RUNTIME_PROVIDER) return LINK_FIELDS.socket.wire;
  return socket.startsWith('/') ? socket : socket.slice(socket.lastIndexOf(':'));
}
