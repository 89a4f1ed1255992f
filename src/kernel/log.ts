/**
 * Logging: pino, one line an event, one child logger a link: JSON, or lines for people at a terminal and in a journal
 * (log-text.ts). Warnings and errors go to standard error and the rest to standard output, as runtimes file them. A
 * level that is off costs a call of an empty function.
 *
 * From level info on, what is repeated is counted in place of being written again and again (log-limit.ts).
 */

import { fstatSync } from 'node:fs';
import { isatty } from 'node:tty';
import {
  type DestinationStream,
  destination,
  type LogFn,
  type Logger,
  multistream,
  pino,
  stdTimeFunctions,
  symbols,
} from 'pino';
import { type LeftOut, LogLimit } from './log-limit.js';
import { journalText, lineText } from './log-text.js';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

/** `auto`: text at a terminal, in a journal with its priorities; JSON anywhere else. */
export const LOG_FORMATS = ['auto', 'json', 'text'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

const INFO = 30;
/** How often counts of repeated lines are looked for, in milliseconds. */
const SUM_UP_MS = 1_000;

type Arguments = readonly unknown[];
/** A log call that can be made later, past the limit. */
interface Line {
  readonly args: Arguments;
  write(args: Arguments): void;
}

/** Loggers whose lines are all written. */
const unlimited = new WeakSet<object>();

export function createLogger(level: string, format: LogFormat = 'json'): Logger {
  const streams = [
    { level: 'trace' as const, stream: formatted(1, format) },
    { level: 'warn' as const, stream: formatted(2, format) },
  ];
  const hooks = { logMethod: spared() };
  return pino(
    { level, base: { pid: process.pid }, hooks, timestamp: stdTimeFunctions.isoTime },
    multistream(streams, { dedupe: true }),
  );
}

/** The same logger for what has to be written however often it comes: a log of requests. */
export function everyLine(log: Logger): Logger {
  const child = log.child({});
  unlimited.add(child);
  return child;
}

function spared() {
  const limit = new LogLimit<Line>();
  let timer: NodeJS.Timeout | null = null;
  let isFirst = true;
  const sumUp = (now: number) => {
    for (const leftOut of limit.due(now)) leftOut.line.write(summary(leftOut));
    if (!limit.isEmpty || !timer) return;
    clearInterval(timer);
    timer = null;
  };
  return function logMethod(this: Logger, args: Arguments, method: LogFn, level: number): void {
    const write = (all: Arguments) => method.apply(this, all as Parameters<LogFn>);
    if (level >= INFO && !unlimited.has(this)) {
      const line = { args, write };
      if (!limit.admits(aboutOf(this, args), `${level} ${textOf(args)}`, line, performance.now())) {
        return;
      }
      if (isFirst) process.once('exit', () => sumUp(Number.POSITIVE_INFINITY));
      isFirst = false;
      timer ??= setInterval(() => sumUp(performance.now()), SUM_UP_MS).unref();
    }
    write(args);
  };
}

/** The subject of a line: the link that it names, or else the child logger. */
function aboutOf(log: Logger, [first]: Arguments): string {
  const { link } = Object(first) as { link?: unknown };
  if (typeof link === 'string') return link;
  return String((log as unknown as Record<symbol, unknown>)[symbols.chindingsSym]);
}

function textOf(args: Arguments): string {
  const text = args.find((one) => typeof one === 'string');
  if (typeof text === 'string') return text;
  return args[0] instanceof Error ? args[0].message : '';
}

function summary({ line: { args }, times, isSame }: LeftOut<Line>): Arguments {
  const [first] = args;
  const fields = first instanceof Error ? { err: first } : typeof first === 'string' ? {} : first;
  const text = textOf(args);
  const said = isSame
    ? `${text} (repeated ${times} times)`
    : `${times} more lines were left out, the last: ${text}`;
  return [{ ...(fields as object), repeated: times }, said];
}

/** The stream, and what is made of each line for it. */
function formatted(fd: number, format: LogFormat): DestinationStream {
  const stream = standardStream(fd);
  const isTerminal = isatty(fd);
  const colours = isTerminal && !process.env.NO_COLOR;
  if (format === 'text' || (format === 'auto' && isTerminal)) {
    return { write: (json) => stream.write(lineText(json, { colours })) };
  }
  if (format === 'auto' && isJournal(fd))
    return { write: (json) => stream.write(journalText(json)) };
  return stream;
}

/** Whether systemd reads it (systemd.exec(5), JOURNAL_STREAM). */
function isJournal(fd: number): boolean {
  const { JOURNAL_STREAM: named } = process.env;
  if (named === undefined) return false;
  try {
    const { dev, ino } = fstatSync(fd);
    return named === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** Output that can't be written is lost and stops nothing: its reader may be gone, or the disk full. */
function standardStream(fd: number): DestinationStream {
  const stream = destination({ dest: fd, sync: true });
  stream.on('error', () => undefined);
  return stream;
}
