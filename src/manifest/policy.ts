/**
 * The grammar of a policy's rules, and the rules of one role. What they mean is at the top of
 * plugins/dbus/policy.ts.
 */
import type { PolicyRules } from './link-values.js';
import { isBusName } from './text.js';

/** Rules in `policy` that hold for every role. */
export const EVERY_ROLE = '*';

const ELEMENT = '[A-Za-z_][A-Za-z0-9_]*';
const METHOD = new RegExp(`^(?:\\*|${ELEMENT}(?:\\.${ELEMENT})+\\.(?:\\*|${ELEMENT}))?$`);
const PATH = /^[A-Za-z0-9_/]*$/;
const MAX_RULE = 1024;

/** `org.example.Foo`, `org.example.*`, or `*` for every name. */
export function isNamePattern(text: string): boolean {
  if (text === '*' || isBusName(text)) return true;
  return text.endsWith('.*') && isBusName(`${text.slice(0, -2)}.x`);
}

/** `[METHOD][@PATH]`, of which one has to be there. */
export function isMemberRule(text: string): boolean {
  if (text === '' || text.length > MAX_RULE) return false;
  const [method = '', path, ...more] = text.split('@');
  return more.length === 0 && METHOD.test(method) && (path === undefined || isPathPattern(path));
}

/** A rule taken apart. What is absent is any. */
export interface MemberRule {
  readonly interface?: string;
  readonly member?: string;
  readonly path?: string;
  /** Objects below `path` are meant, too. */
  readonly below: boolean;
}

/** `text`: a rule whose syntax is valid; the manifest and the wire form check it. */
export function memberRule(text: string): MemberRule {
  const [method = '', path] = text.split('@');
  const dot = method.lastIndexOf('.');
  const member = method.slice(dot + 1);
  const place = path === '/*' ? undefined : path;
  const below = place?.endsWith('/*') ?? false;
  return {
    ...(dot > 0 ? { interface: method.slice(0, dot) } : {}),
    ...(dot > 0 && member !== '*' ? { member } : {}),
    ...(place === undefined ? {} : { path: below ? place.slice(0, -2) : place }),
    below,
  };
}

const INTERFACE = new RegExp(`^${ELEMENT}(?:\\.${ELEMENT})+$`);
const MEMBER = new RegExp(`^${ELEMENT}$`);

/** As the D-Bus specification has them ("Valid Names", "Valid Object Paths"). */
export function isInterface(text: string): boolean {
  return text.length <= 255 && INTERFACE.test(text);
}

export function isMember(text: string): boolean {
  return text.length <= 255 && MEMBER.test(text);
}

export function isObjectPath(text: string): boolean {
  return text.length <= MAX_RULE && isPathPattern(text) && !text.includes('*');
}

function isPathPattern(text: string): boolean {
  if (text === '/' || text === '/*') return true;
  const path = text.endsWith('/*') ? text.slice(0, -2) : text;
  const isWhole = path.startsWith('/') && !path.endsWith('/') && !path.includes('//');
  return isWhole && PATH.test(path);
}

/** Its own and those of every role together; where there are none, nothing is allowed. */
export function rulesOf(role: string, policy: ReadonlyMap<string, PolicyRules>): PolicyRules {
  const own = policy.get(role);
  const common = role === EVERY_ROLE ? undefined : policy.get(EVERY_ROLE);
  if (!own || !common) return own ?? common ?? {};
  return {
    see: [...(own.see ?? []), ...(common.see ?? [])],
    talk: [...(own.talk ?? []), ...(common.talk ?? [])],
    own: [...(own.own ?? []), ...(common.own ?? [])],
    call: together(own.call, common.call),
    broadcast: together(own.broadcast, common.broadcast),
  };
}

type RulesByName = PolicyRules['call'];

function together(a: RulesByName = {}, b: RulesByName = {}): NonNullable<RulesByName> {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return Object.fromEntries(names.map((name) => [name, [...(a[name] ?? []), ...(b[name] ?? [])]]));
}
