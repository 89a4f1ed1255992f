/** What of an export only HTTP has: the rules that hold for a role. Pure. */
import { EVERY_ROLE } from '../manifest/policy.js';
import type { Service } from '../manifest/revision.js';

export function speaksHttp(type: string): boolean {
  return type === 'rest' || type === 'http';
}

/** The role's own rules and those for every role; undefined where the service has none at all. */
export function rulesFor({ rules }: Service, role: string): readonly string[] | undefined {
  if (!rules) return undefined;
  const own = role === EVERY_ROLE ? [] : (rules.get(role) ?? []);
  return [...own, ...(rules.get(EVERY_ROLE) ?? [])];
}
