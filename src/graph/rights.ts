/**
 * What one value of a field lets somebody do that another does not, as the `access` of its row in
 * manifest/link-fields.ts has it. Compared by meaning, not by text: the order of rules, a rule within another one, and
 * networks that are written differently are no difference. Pure.
 *
 * A value is taken apart into rights, each of which is covered by another or is not. For policies that is exact: no
 * number of narrower rules adds up to a wider one, since there are names, objects and members without end. Rules about
 * HTTP of which several only together are as wide as one are told as a difference.
 */
import { isDeepStrictEqual } from 'node:util';
import { type HttpRule, parseRule } from '../kernel/http-rule.js';
import { ipBytes, parseCidr } from '../kernel/ip-address.js';
import type { AccessKind } from '../manifest/link-fields.js';
import { HTTP_FIELDS, type HttpOptions, type PolicyRules } from '../manifest/link-values.js';
import { type MemberRule, memberRule } from '../manifest/policy.js';
import { show } from '../manifest/problem.js';

export interface Rights {
  /** One short phrase each, such as `talk to org.example.Foo`. */
  readonly gained: readonly string[];
  readonly lost: readonly string[];
}

export const NO_RIGHTS: Rights = { gained: [], lost: [] };

/** Both values undefined, or equal: none. */
type Compare = (before: unknown, after: unknown) => Rights;

export const COMPARE: Readonly<Record<AccessKind, Compare>> = {
  none: () => NO_RIGHTS,
  policy: byParts(partsOfPolicy, allows, 'everything that the bus itself allows'),
  'http-rules': byParts(partsOfRules, permits, 'every request'),
  networks: compareNetworks,
  set: byParts(partsOfSet, isDeepStrictEqual, 'all'),
  http: compareHttp,
};

/** By the order of values, least access first; `field` is its name. */
export function byOrder(order: readonly unknown[], field: string): Compare {
  return (before, after) => {
    const step = order.indexOf(after) - order.indexOf(before);
    if (step === 0) return NO_RIGHTS;
    const told = [`${field} ${valueText(after)} in place of ${valueText(before)}`];
    return step > 0 ? { gained: told, lost: [] } : { gained: [], lost: told };
  };
}

/** Whatever a value means, another one means something else. */
export function byIdentity(field: string): Compare {
  const text = (value: unknown) => [
    value === undefined ? `no ${field}` : `${field} ${valueText(value)}`,
  ];
  return (before, after) => ({ gained: text(after), lost: text(before) });
}

/** A value as a person sees it: an object or array whole, but for its length. */
export function valueText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return show(value);
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 196)}...` : text;
}

/** A right, and how it is told. */
interface Part<T> {
  readonly text: string;
  readonly right: T;
}

/** What is absent has every right, which `all` names. */
export function byParts<T>(
  partsOf: (value: never) => Part<T>[],
  covers: (wider: T, narrower: T) => boolean,
  all: string,
): Compare {
  return (before, after) => {
    if (before === undefined && after === undefined) return NO_RIGHTS;
    const parts = (value: unknown) => (value === undefined ? null : partsOf(value as never));
    const [old, now] = [parts(before), parts(after)];
    const beyond = (these: Part<T>[] | null, those: Part<T>[] | null) => {
      if (those === null) return [];
      if (these === null) return [all];
      const missing = these.filter(({ right }) => !those.some((one) => covers(one.right, right)));
      return [...new Set(missing.map(({ text }) => text))];
    };
    return { gained: beyond(now, old), lost: beyond(old, now) };
  };
}

function partsOfSet(value: unknown): Part<unknown>[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((right) => ({
    text: typeof right === 'string' ? right : valueText(right),
    right,
  }));
}

interface BusRight {
  readonly kind: 'see' | 'talk' | 'own' | 'call' | 'broadcast';
  /** `org.example.Foo`, `org.example.*` or `*`. */
  readonly name: string;
  readonly rule?: MemberRule;
}

function partsOfPolicy(policy: PolicyRules): Part<BusRight>[] {
  const { see = [], talk = [], own = [], call = {}, broadcast = {} } = policy;
  const parts: Part<BusRight>[] = [
    ...see.map((name) => ({ text: `see ${name}`, right: { kind: 'see', name } as const })),
    ...talk.map((name) => ({ text: `talk to ${name}`, right: { kind: 'talk', name } as const })),
    ...own.map((name) => ({ text: `own ${name}`, right: { kind: 'own', name } as const })),
  ];
  for (const [kind, verb, byName] of [
    ['call', 'call', call],
    ['broadcast', 'hear', broadcast],
  ] as const) {
    for (const [name, rules] of Object.entries(byName)) {
      if (rules.length === 0) parts.push({ text: `see ${name}`, right: { kind: 'see', name } });
      for (const text of rules) {
        parts.push({
          text: `${verb} ${text} of ${name}`,
          right: { kind, name, rule: memberRule(text) },
        });
      }
    }
  }
  return parts;
}

const LEVEL = { see: 1, call: 1, broadcast: 1, talk: 2, own: 3 } as const;

/** The rights of plugins/dbus/policy.ts: own implies talk, talk implies every call and broadcast, each implies see. */
function allows(wider: BusRight, narrower: BusRight): boolean {
  if (!namesWithin(wider.name, narrower.name)) return false;
  const { rule } = narrower;
  if (!rule) return LEVEL[wider.kind] >= LEVEL[narrower.kind];
  if (LEVEL[wider.kind] >= LEVEL.talk) return true;
  return wider.kind === narrower.kind && wider.rule !== undefined && ruleWithin(wider.rule, rule);
}

function namesWithin(wider: string, narrower: string): boolean {
  if (wider === '*' || wider === narrower) return true;
  if (!wider.endsWith('.*') || narrower === '*') return false;
  const above = wider.slice(0, -2);
  return narrower === above || narrower.startsWith(`${above}.`);
}

function ruleWithin(wider: MemberRule, narrower: MemberRule): boolean {
  if (wider.interface !== undefined && wider.interface !== narrower.interface) return false;
  if (wider.member !== undefined && wider.member !== narrower.member) return false;
  if (wider.path === undefined) return true;
  if (narrower.path === undefined) return false;
  if (wider.below && narrower.path.startsWith(`${wider.path}/`)) return true;
  return wider.path === narrower.path && (wider.below || !narrower.below);
}

/** One method of a rule; null: any. */
type Request = Omit<HttpRule, 'methods'> & { readonly method: string | null };

function partsOfRules(rules: readonly string[]): Part<Request>[] {
  return rules.flatMap((text): Part<Request>[] => {
    const rule = parseRule(text);
    if (!rule) return []; // it lets nothing pass
    const { methods, ...request } = rule;
    const [, path = ''] = text.split(' ');
    if (methods === null) return [{ text, right: { ...request, method: null } }];
    // HEAD is in what GET gives.
    const named = [...methods].filter((method) => method !== 'HEAD' || !methods.has('GET'));
    return named.map((method) => ({
      text: `${method} ${path}`,
      right: { ...request, method },
    }));
  });
}

function permits(wider: Request, narrower: Request): boolean {
  const { method } = narrower;
  const isNamed = wider.method === method || (wider.method === 'GET' && method === 'HEAD');
  if (wider.method !== null && !isNamed) return false;
  const [all, some] = [wider.segments, narrower.segments];
  if (all === null || some === null) return all === some;
  if (some.length < all.length || (!wider.open && (some.length > all.length || narrower.open))) {
    return false;
  }
  return all.every((segment, i) => (segment === '*' ? some[i] !== '' : segment === some[i]));
}

/** The first and the last address, as numbers. IPv4 is apart from IPv6. */
interface Range {
  readonly family: number;
  readonly first: bigint;
  readonly last: bigint;
}

function rangeOf(text: string): Range | null {
  const cidr = parseCidr(text);
  const bytes = cidr && ipBytes(cidr.ip);
  if (!bytes) return null;
  const free = BigInt(bytes.length * 8 - cidr.bits);
  const first = (BigInt(`0x${bytes.toString('hex')}`) >> free) << free;
  return { family: bytes.length, first, last: first + (1n << free) - 1n };
}

/** Networks of one side that the other does not have whole. */
function compareNetworks(before: unknown, after: unknown): Rights {
  const texts = (value: unknown) => value as readonly string[] | undefined;
  const [old, now] = [texts(before), texts(after)];
  const beyond = (these: readonly string[] | undefined, those: readonly string[] | undefined) => {
    if (those === undefined) return [];
    if (these === undefined) return ['from every address'];
    const ranges = merged(those.flatMap((text) => rangeOf(text) ?? []));
    const isWithin = (range: Range) =>
      ranges.some(
        ({ family, first, last }) =>
          family === range.family && first <= range.first && last >= range.last,
      );
    const missing = these.filter((text) => {
      const range = rangeOf(text);
      return range !== null && !isWithin(range);
    });
    return missing.map((text) => `from ${text}`);
  };
  return { gained: beyond(now, old), lost: beyond(old, now) };
}

/** Those that touch become one. */
function merged(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) =>
    a.family !== b.family ? a.family - b.family : a.first < b.first ? -1 : 1,
  );
  const all: Range[] = [];
  for (const range of sorted) {
    const last = all.at(-1);
    if (!last || last.family !== range.family || range.first > last.last + 1n) all.push(range);
    else if (range.last > last.last) all[all.length - 1] = { ...last, last: range.last };
  }
  return all;
}

const GUARDS = Object.entries(HTTP_FIELDS).flatMap(([key, field]) => {
  return 'guard' in field && field.guard ? [key as keyof HttpOptions] : [];
});

/** Only the options that protect something. */
function compareHttp(before: unknown, after: unknown): Rights {
  const [old, now] = [before, after] as readonly (HttpOptions | undefined)[];
  const changed = GUARDS.filter((key) => !isDeepStrictEqual(old?.[key], now?.[key]));
  const all = changed.map((key) => byIdentity(key)(old?.[key], now?.[key]));
  return { gained: all.flatMap(({ gained }) => gained), lost: all.flatMap(({ lost }) => lost) };
}
