/**
 * What a consumer did on a bus that needs a right, or tried to: said for people, and as the rule that gives the
 * right and no more.
 */
export const RIGHTS = ['see', 'talk', 'own', 'call', 'broadcast'] as const;
export type Right = (typeof RIGHTS)[number];

export interface Use {
  readonly right: Right;
  /** Whom it was about, as the message has it. */
  readonly name: string;
  /** Well-known names that a rule could speak of: `name` itself, or those of this unique name. */
  readonly names: readonly string[];
  /** For `call` and `broadcast`. */
  readonly rule?: string;
  /** The policy that the link has refused it, or (in audit mode) would have. */
  readonly refused?: true;
  /** What was done: `call org.example.Admin.Reset of org.example.Admin`. */
  readonly what: string;
}

/** As it stands in a policy; without a well-known name there is none. */
export function allowing({ right, names: [name], rule }: Use): string | null {
  if (name === undefined) return null;
  return rule === undefined ? `"${right}": ["${name}"]` : `"${right}": {"${name}": ["${rule}"]}`;
}
