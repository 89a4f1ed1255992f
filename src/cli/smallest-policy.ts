/**
 * The smallest policy that covers what was seen, without a right that no message needed. Pure.
 *
 * One thing is a guess: a method or signal that was seen at more objects than these is allowed at all objects below
 * what they have in common, for there will be more of their kind.
 */
import type { PolicyRules } from '../graph/link.js';
import type { Right, Use } from '../graph/use.js';
import { byName } from '../manifest/text.js';

const MAX_OBJECTS = 3;

export interface Learnt {
  readonly policy: PolicyRules;
  /** Uses that no rule can allow. */
  readonly uncovered: readonly string[];
}

type Members = 'call' | 'broadcast';
interface Needs {
  readonly rights: Set<Right>;
  /** Objects by method or signal. */
  readonly call: Map<string, Set<string>>;
  readonly broadcast: Map<string, Set<string>>;
}

export function smallestPolicy(uses: readonly Use[]): Learnt {
  const needs = new Map<string, Needs>();
  const uncovered = new Set<string>();
  for (const use of uses) {
    const name = chosen(use.names, needs);
    if (name === undefined) uncovered.add(use.what);
    else note(needs, name, use);
  }
  const names = [...needs.keys()].sort(byName);
  const having = (is: (need: Needs) => boolean) => names.filter((name) => is(needOf(needs, name)));
  const rules = (members: Members) =>
    having((need) => need[members].size > 0 && !isWhole(need)).map((name) => [
      name,
      [...needOf(needs, name)[members]].flatMap(([of, paths]) => rulesOf(of, paths)).sort(byName),
    ]);
  const policy = {
    see: having((need) => need.rights.size === 1 && need.rights.has('see')),
    talk: having((need) => need.rights.has('talk') && !isWhole(need) && need.call.size === 0),
    own: having((need) => need.rights.has('own')),
    call: Object.fromEntries(rules('call')) as NonNullable<PolicyRules['call']>,
    broadcast: Object.fromEntries(rules('broadcast')) as NonNullable<PolicyRules['broadcast']>,
  };
  const isUsed = ([, rules]: [string, object]) => Object.keys(rules).length > 0;
  return {
    policy: Object.fromEntries(Object.entries(policy).filter(isUsed)),
    uncovered: [...uncovered],
  };
}

/** Who may own a name may do everything else with it. */
function isWhole({ rights }: Needs): boolean {
  return rights.has('own');
}

/** If an owner has several names, one that the policy has already. */
function chosen(names: readonly string[], needs: ReadonlyMap<string, Needs>): string | undefined {
  return names.find((name) => needs.has(name)) ?? names[0];
}

function note(needs: Map<string, Needs>, name: string, { right, rule }: Use): void {
  const need = needOf(needs, name);
  needs.set(name, need);
  need.rights.add(right);
  if (rule === undefined || (right !== 'call' && right !== 'broadcast')) return;
  const [method = '*', path = '/'] = rule.split('@');
  const paths = need[right].get(method) ?? new Set();
  need[right].set(method, paths.add(path));
}

function needOf(needs: ReadonlyMap<string, Needs>, name: string): Needs {
  return needs.get(name) ?? { rights: new Set(), call: new Map(), broadcast: new Map() };
}

function rulesOf(method: string, paths: ReadonlySet<string>): string[] {
  const [first = '/', ...others] = paths;
  if (others.length < MAX_OBJECTS) return [...paths].map((path) => `${method}@${path}`);
  let common = first.split('/');
  for (const path of others) {
    const parts = path.split('/');
    const differs = common.findIndex((part, place) => part !== parts[place]);
    if (differs >= 0) common = common.slice(0, differs);
  }
  return [common.length > 1 ? `${method}@${common.join('/')}/*` : method];
}
