/**
 * What may fail, as a value: `ok` tells which of the two it is, and nothing else does. ARCHITECTURE.md says where a
 * failure is such a value and where it is an exception.
 */
import type { LinkError } from './errors.js';

/** `Why`: what is said of a failure. */
export type Result<T, Why = { readonly error: LinkError }> =
  | { readonly ok: true; readonly value: T }
  | ({ readonly ok: false } & Why);

/** Of what only the kernel can refuse; `errno` is a name, `ENOENT`. */
export type ErrnoResult<T> = Result<T, { readonly errno: string }>;

export const ok = <T>(value: T) => ({ ok: true, value }) as const;
