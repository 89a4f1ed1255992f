/**
 * Logging: pino, one JSON line an event on standard error, one child logger a link. A level that is off
 * costs a call of an empty function.
 */
import { destination, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

export function createLogger(level: string): Logger {
  return pino({ level, base: { pid: process.pid } }, destination({ dest: 2, sync: true }));
}
