/**
 * Says in the log what ends this process where nobody ordered that: an exception that nothing caught, or a call of
 * `process.exit`; and in which module from outside, if it was in one. A signal leaves no time for words: the supervisor
 * says which one it was.
 */
import type { Logger } from './log.js';
import { foreignPlace } from './place.js';

/** EX_SOFTWARE of sysexits(3head). */
const BUG = 70;

/** The returned function ends it: from then on an end is one that was ordered. */
export function sayLastWords(log: Pick<Logger, 'fatal'>): () => void {
  const thrown = (err: unknown) => {
    stop();
    const place = foreignPlace(err instanceof Error ? err.stack : undefined);
    log.fatal({ err }, `a bug${place ? ` at ${place}` : ''} ends the daemon`);
    process.exit(BUG);
  };
  const exited = (code: number) => {
    const place = foreignPlace(new Error().stack);
    log.fatal(`${place ?? 'something'} ends the daemon by process.exit(${code})`);
  };
  const stop = () => {
    process.off('uncaughtException', thrown);
    process.off('exit', exited);
  };
  process.on('uncaughtException', thrown);
  process.on('exit', exited);
  return stop;
}
