/**
 * What two revisions declare about access beside their links: who may require a service, whether or not somebody does;
 * who may own and call a name on the hosted bus; and what a role may do that no link has. Pure.
 *
 * A service that only one of the two has is told by its links.
 */
import type { NarrowedCaller } from '../manifest/entries.js';
import type { AccessKind } from '../manifest/link-fields.js';
import { EVERY_ROLE, rulesOf } from '../manifest/policy.js';
import type { Revision, Service } from '../manifest/revision.js';
import { CONTAINER_PREFIX } from '../manifest/services.js';
import { type BusName, callersOf } from './bus-names.js';
import type { Access, AccessDifference } from './graph-difference.js';
import { busDeclarations } from './hosted-bus.js';
import type { Link } from './link.js';
import { byParts, COMPARE, type Rights } from './rights.js';

/** A revision with its links. */
export interface Declared {
  readonly revision: Revision;
  readonly links: readonly Link[];
}

export function compareDeclared(before: Declared, after: Declared): AccessDifference {
  const difference: Difference = { gained: [], lost: [] };
  const linked = new Set([...before.links, ...after.links].map(roleKey));
  const old = servicesOf(before.revision);
  for (const [key, { provider, name, service }] of servicesOf(after.revision)) {
    const one = old.get(key)?.service;
    if (!one) continue;
    const of = { provider, name, role: null };
    add(difference, { ...of, field: 'allow' }, compareAllow(one, service));
    for (const field of ['policy', 'rules'] as const) {
      compareRoles(field, one, service, (role, rights) => {
        if (linked.has(roleKey({ ...of, role }))) return;
        add(difference, { ...of, field, role }, rights);
      });
    }
  }
  compareNames(before.revision, after.revision, difference);
  return difference;
}

interface Difference {
  readonly gained: Access[];
  readonly lost: Access[];
}

function add(
  { gained, lost }: Difference,
  of: Pick<Access, 'provider' | 'name' | 'field' | 'role'>,
  rights: Rights,
): void {
  const told = (what: string): Access => ({ consumer: null, target: null, ...of, what });
  gained.push(...rights.gained.map(told));
  lost.push(...rights.lost.map(told));
}

function roleKey({ provider, name, role }: Pick<Link, 'provider' | 'name' | 'role'>): string {
  return JSON.stringify([provider, name, role]);
}

/** Those that links may lead to. */
function servicesOf({ containers }: Revision) {
  const all = containers.flatMap(({ name: provider, services }) =>
    services.flatMap((service) => {
      const { name } = service;
      return name === undefined ? [] : [{ provider, name, service }];
    }),
  );
  return new Map(all.map((one) => [JSON.stringify([one.provider, one.name]), one]));
}

function compareAllow(before: Service, after: Service): Rights {
  const text = (rights: readonly string[]) =>
    rights.map((caller) => {
      if (caller === 'all') return 'everyone may require it';
      const isContainer = caller.startsWith(CONTAINER_PREFIX);
      const who = isContainer ? caller.slice(CONTAINER_PREFIX.length) : `the role ${caller}`;
      return `${who} may require it`;
    });
  const { gained, lost } = COMPARE.set(before.allow, after.allow);
  return { gained: text(gained), lost: text(lost) };
}

/** `tell` is called for each role that one of the two names, and for every role together. */
function compareRoles(
  field: 'policy' | 'rules',
  before: Service,
  after: Service,
  tell: (role: string, rights: Rights) => void,
): void {
  const kind: AccessKind = field === 'policy' ? 'policy' : 'http-rules';
  const [old, now] = [enforced(before, field), enforced(after, field)];
  const ofRole = (role: string) => COMPARE[kind](rightsFor(role, old), rightsFor(role, now));
  const everyone = ofRole(EVERY_ROLE);
  tell(EVERY_ROLE, everyone);
  for (const role of new Set([...keysOf(old), ...keysOf(now)])) {
    if (role === EVERY_ROLE) continue;
    const { gained, lost } = ofRole(role);
    tell(role, {
      gained: gained.filter((what) => !everyone.gained.includes(what)),
      lost: lost.filter((what) => !everyone.lost.includes(what)),
    });
  }
}

type Limits = Pick<Service, 'policy' | 'rules'>;

/** One of the two limits. In audit mode a policy refuses nothing. */
function enforced({ policy, rules, policyMode }: Service, field: keyof Limits): Limits {
  if (field === 'rules') return rules ? { rules } : {};
  return policy && policyMode !== 'audit' ? { policy } : {};
}

function keysOf({ policy, rules }: Limits): string[] {
  return [...((policy ?? rules)?.keys() ?? [])];
}

function rightsFor(role: string, { policy, rules }: Limits): unknown {
  if (policy) return rulesOf(role, policy);
  if (!rules || role === EVERY_ROLE) return rules?.get(role) ?? (rules ? [] : undefined);
  return [...(rules.get(role) ?? []), ...(rules.get(EVERY_ROLE) ?? [])];
}

/** Towards one name on the hosted bus; a null role: everyone. */
type NameRight = {
  readonly own: boolean;
  readonly role: string | null;
  readonly calls?: NarrowedCaller;
};

function compareNames(before: Revision, after: Revision, difference: Difference): void {
  const [old, now] = [namesOf(before), namesOf(after)];
  for (const name of new Set([...old.keys(), ...now.keys()])) {
    const one = now.get(name) ?? old.get(name);
    if (!one) continue;
    const rights = compareName(old.get(name) ?? null, now.get(name) ?? null);
    add(difference, { provider: one.container, name, field: 'owns', role: null }, rights);
  }
}

function namesOf(revision: Revision): Map<string, BusName> {
  return new Map(busDeclarations(revision).names.map((name) => [name.name, name]));
}

const compareName = byParts(partsOfName, covers, '');

/** Null: nobody owns it. */
function partsOfName(name: BusName | null) {
  if (!name) return [];
  const { role: owner, service } = name;
  const callers = callersOf(name)?.filter((role) => role !== owner) ?? [null];
  return [
    { text: `the role ${owner} may own it`, right: { own: true, role: owner } },
    ...callers.map((role) => {
      const who = role === null ? 'everyone' : `the role ${role}`;
      return { text: `${who} may call it`, right: { own: false, role } };
    }),
    ...(service.calls ?? []).map((calls): { text: string; right: NameRight } => {
      const { role, ...parts } = calls;
      const what = Object.entries(parts).map(([part, list]) => `${part} ${list.join(', ')}`);
      return {
        text: `the role ${role} may call ${what.join('; ')}`,
        right: { own: false, role, calls },
      };
    }),
  ];
}

function covers(wider: NameRight, narrower: NameRight): boolean {
  if (wider.role !== null && wider.role !== narrower.role) return false;
  if (wider.own || narrower.own) return wider.own;
  const [all, some] = [wider.calls, narrower.calls];
  if (!all) return true;
  return (['interfaces', 'members', 'paths'] as const).every((part) => {
    const allowed = all[part];
    return allowed === undefined || (some?.[part]?.every((one) => allowed.includes(one)) ?? false);
  });
}
