/** What of a requirement and an export only HTTP has: options, and the rules that hold for its role. Pure. */
import type { HttpOptions } from '../kernel/http-options.js';
import type { Requirement, Service } from '../manifest/revision.js';
import { EXTERNAL } from './link.js';

const EVERY_ROLE = '*';

export function speaksHttp(type: string): boolean {
  return type === 'rest' || type === 'http';
}

/** The role's own rules and those for every role; undefined where the service has none at all. */
export function rulesFor({ rules }: Service, role: string): readonly string[] | undefined {
  if (!rules) return undefined;
  const own = role === EVERY_ROLE ? [] : (rules.get(role) ?? []);
  return [...own, ...(rules.get(EVERY_ROLE) ?? [])];
}

/** Certificates are the host's own: only its ingress may name them. */
export function optionsFor(consumer: string, { http }: Requirement): HttpOptions | undefined {
  if (!http || consumer === EXTERNAL) return http;
  const { tls: _, ...others } = http;
  return Object.keys(others).length === 0 ? undefined : others;
}
