/** The policy of a link in its wire form: checked and bounded, as it comes from whoever serves the graph. */
import { isObject } from '../manifest/json.js';
import { MAX_ENTRIES } from '../manifest/limits.js';
import { isMemberRule, isNamePattern } from '../manifest/policy.js';
import type { PolicyRules } from '../manifest/revision.js';

const LISTS = ['see', 'talk', 'own'];
const BY_NAME = ['call', 'broadcast'];

/** Null for what is none: a policy that is not understood wholly must not be applied in part. */
export function readPolicy(value: unknown): PolicyRules | null {
  if (!isObject(value)) return null;
  let count = 0;
  const isListOf = (list: unknown, isRule: (text: string) => boolean) => {
    if (!Array.isArray(list)) return false;
    count += list.length;
    return count <= MAX_ENTRIES && list.every((rule) => typeof rule === 'string' && isRule(rule));
  };
  const isRuleSet = ([key, rules]: [string, unknown]) => {
    if (LISTS.includes(key)) return isListOf(rules, isNamePattern);
    if (!BY_NAME.includes(key) || !isObject(rules)) return false;
    return Object.entries(rules).every(
      ([name, list]) => isNamePattern(name) && isListOf(list, isMemberRule),
    );
  };
  return Object.entries(value).every(isRuleSet) ? (value as PolicyRules) : null;
}
