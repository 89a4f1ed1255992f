/**
 * What a consumer did that needs a right, or tried to: said for people, and as the rule that gives the right and no
 * more.
 */
import type { Header } from './header.js';

export type Right = 'see' | 'talk' | 'own' | 'call' | 'broadcast';

export interface Use {
  readonly right: Right;
  /** Whom it was about, as the message has it. */
  readonly name: string;
  /** Well-known names that a rule could speak of: `name` itself, or those of this unique name. */
  readonly names: readonly string[];
  /** For `call` and `broadcast`. */
  readonly rule?: string;
  /** What was done: `call org.example.Admin.Reset`. */
  readonly what: string;
}

/** `[METHOD][@PATH]` for this one message. */
export function ruleFor({ interface: of, member, path }: Header): string {
  return `${of === undefined ? '*' : `${of}.${member}`}@${path}`;
}

/** As it stands in a policy; without a well-known name there is none. */
export function allowing({ right, names: [name], rule }: Use): string | null {
  if (name === undefined) return null;
  return rule === undefined ? `"${right}": ["${name}"]` : `"${right}": {"${name}": ["${rule}"]}`;
}

export function methodOf({ interface: of, member }: Header): string {
  return of === undefined ? String(member) : `${of}.${member}`;
}
