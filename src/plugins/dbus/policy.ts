/**
 * The policy of one role on one export: which names may be seen, called, heard and owned. Compiled once; pure.
 *
 * The model is that of xdg-dbus-proxy(1). A policy speaks of well-known names; each right implies those before it:
 *
 *     see    the name exists: it is listed, its owner is told, so is that it comes and goes
 *     talk   everything may be sent to it, all that it broadcasts may be heard, it may be started
 *     own    the name may be taken
 *
 * and where that is too much, `call` and `broadcast` give `see` and the one thing that a rule names,
 * `[METHOD][@PATH]`:
 *
 *     METHOD   org.example.Foo.Bar    that member of that interface
 *              org.example.Foo.*      every member of that interface
 *              * or nothing           everything
 *     PATH     /org/example           that object
 *              /org/example/*         that object and those below it; /* is all
 *
 * A name is `org.example.Foo`, or `org.example.*` for that name and all below it, or `*` for everybody, those without
 * a well-known name too. A unique name has the rights of all well-known names that it owns at that moment. Rights add
 * up, whatever their order. What no rule gives is refused.
 *
 * No right is needed for the bus itself (bus-methods.ts), for the consumer's own unique name, for broadcasts by the
 * consumer, and for one reply to each call. Any client on the provider's bus may call the consumer, and is then seen by
 * it: the policy is the consumer's, and other clients have their own.
 */
import type { PolicyRules } from '../../graph/link.js';
import { type MemberRule, memberRule } from '../../manifest/policy.js';
import type { Header } from './header.js';

export const Level = { none: 0, see: 1, talk: 2, own: 3 } as const;
export type Level = (typeof Level)[keyof typeof Level];

/** What a consumer may do towards a name. */
export interface Grant {
  readonly level: Level;
  readonly calls: readonly MemberRule[];
  readonly broadcasts: readonly MemberRule[];
}

export const NOTHING: Grant = { level: Level.none, calls: [], broadcasts: [] };
export const SEE: Grant = { ...NOTHING, level: Level.see };
export const TALK: Grant = { ...NOTHING, level: Level.talk };
export const OWN: Grant = { ...NOTHING, level: Level.own };

/** Size of the cache, which is cleared when it is full: a consumer may ask for any number of names. */
const MAX_REMEMBERED = 1024;

export class Policy {
  /** Towards clients without a well-known name. */
  readonly everybody: Grant;
  readonly #exact = new Map<string, Grant>();
  /** By what is before the `.*`. */
  readonly #below = new Map<string, Grant>();
  readonly #remembered = new Map<string, Grant>();

  constructor(rules: PolicyRules) {
    for (const name of rules.see ?? []) this.#add(name, SEE);
    for (const name of rules.talk ?? []) this.#add(name, TALK);
    for (const name of rules.own ?? []) this.#add(name, OWN);
    for (const [name, texts] of Object.entries(rules.call ?? {})) {
      this.#add(name, { ...SEE, calls: texts.map(memberRule) });
    }
    for (const [name, texts] of Object.entries(rules.broadcast ?? {})) {
      this.#add(name, { ...SEE, broadcasts: texts.map(memberRule) });
    }
    this.everybody = this.#exact.get('*') ?? NOTHING;
  }

  /** Towards a well-known name. */
  towards(name: string): Grant {
    const remembered = this.#remembered.get(name);
    if (remembered) return remembered;
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    const grant = this.#find(name);
    this.#remembered.set(name, grant);
    return grant;
  }

  #find(name: string): Grant {
    const grants = [this.everybody, this.#exact.get(name), this.#below.get(name)];
    for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
      grants.push(this.#below.get(name.slice(0, dot)));
    }
    return together(grants.filter((grant) => grant !== undefined));
  }

  #add(pattern: string, grant: Grant): void {
    const isBelow = pattern.endsWith('.*');
    const grants = isBelow ? this.#below : this.#exact;
    const name = isBelow ? pattern.slice(0, -2) : pattern;
    grants.set(name, together([grants.get(name) ?? NOTHING, grant]));
  }
}

/** The sum of all these rights. */
export function together(grants: readonly Grant[]): Grant {
  const [first = NOTHING, ...others] = grants.filter((grant) => grant !== NOTHING);
  if (others.length === 0) return first;
  return {
    level: Math.max(first.level, ...others.map(({ level }) => level)) as Level,
    calls: grants.flatMap(({ calls }) => calls),
    broadcasts: grants.flatMap(({ broadcasts }) => broadcasts),
  };
}

/** Whether a method call, or a signal to one receiver, may be sent. */
export function maySend(grant: Grant, header: Header): boolean {
  return grant.level >= Level.talk || grant.calls.some((rule) => fits(rule, header));
}

/** Whether a broadcast signal may be heard. */
export function mayHear(grant: Grant, header: Header): boolean {
  return grant.level >= Level.talk || grant.broadcasts.some((rule) => fits(rule, header));
}

export function fits(
  rule: MemberRule,
  header: Pick<Header, 'interface' | 'member' | 'path'>,
): boolean {
  if (rule.interface !== undefined && rule.interface !== header.interface) return false;
  if (rule.member !== undefined && rule.member !== header.member) return false;
  if (rule.path === undefined || rule.path === header.path) return true;
  return rule.below && (header.path?.startsWith(`${rule.path}/`) ?? false);
}
