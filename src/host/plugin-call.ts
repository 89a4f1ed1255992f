/** A call into a plugin, which may be anybody's: what it throws is logged, and costs no more than what it was to say. */
import { type LinkError, XConnectError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';

/** `otherwise`: what it comes to then. Never rejects. */
export async function withoutBug<T>(
  log: Logger,
  call: () => T | Promise<T>,
  otherwise: (error: LinkError) => T,
): Promise<T>;
export async function withoutBug(log: Logger, call: () => unknown): Promise<void>;
export async function withoutBug<T>(
  log: Logger,
  call: () => T | Promise<T>,
  otherwise?: (error: LinkError) => T,
): Promise<T | undefined> {
  try {
    return await call();
  } catch (thrown) {
    log.error({ err: thrown }, 'a bug in the plugin');
    return otherwise?.(XConnectError.from(thrown).toLinkError());
  }
}
