/**
 * What may fail, as a value: `ok` tells which of the two it is, and nothing else does. ARCHITECTURE.md says where a
 * failure is such a value and where it is an exception.
 */
import { type LinkError, XConnectError } from './errors.js';

/** `Why`: the fields that describe a failure. */
export type Result<T, Why = { readonly error: LinkError }> =
  | { readonly ok: true; readonly value: T }
  | ({ readonly ok: false } & Why);

/** For operations that fail with an errno; `errno` is its name, such as `ENOENT`. */
export type ErrnoResult<T> = Result<T, { readonly errno: string }>;

/** `waits`: what went wrong may mend by itself, so that another attempt is worth it. */
export type Attempt<T> = Result<T, { readonly error: LinkError; readonly waits: boolean }>;

/** Of what people are told of and no program distinguishes; `why`: how a sentence on it ends, or a whole one. */
export type WhyResult<T> = Result<T, { readonly why: string }>;

export const ok = <T>(value: T) => ({ ok: true, value }) as const;
export const failed = (error: LinkError) => ({ ok: false, error }) as const;

/** For where a failure is an exception: throws an XConnectError. */
export function valueOrThrow<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new XConnectError(result.error.code, result.error.message);
}
