/**
 * Logging: pino, one JSON line an event, one child logger a link. Warnings and errors go to standard error and the
 * rest to standard output, as runtimes file them. A level that is off costs a call of an empty function.
 */
import { type DestinationStream, destination, type Logger, multistream, pino } from 'pino';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

export function createLogger(level: string): Logger {
  const streams = [
    { level: 'trace' as const, stream: standardStream(1) },
    { level: 'warn' as const, stream: standardStream(2) },
  ];
  return pino({ level, base: { pid: process.pid } }, multistream(streams, { dedupe: true }));
}

/** What can't be written is lost, and stops nobody: whoever read it may be gone, or the disk full. */
function standardStream(fd: number): DestinationStream {
  const stream = destination({ dest: fd, sync: true });
  stream.on('error', () => undefined);
  return stream;
}
