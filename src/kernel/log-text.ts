/**
 * Lines of the log for people: the time, the level, what it is about, and one sentence; and how a journal is told the
 * priority of a line. Pure.
 */
import { printable } from './printable.js';

/** What one line of the log has, as pino writes it. */
type Line = Readonly<Record<string, unknown>>;

const LEVELS: readonly (readonly [
  least: number,
  name: string,
  colour: number,
  priority: number,
])[] = [
  [60, 'FATAL', 31, 2],
  [50, 'ERROR', 31, 3],
  [40, 'WARN', 33, 4],
  [30, 'INFO', 32, 6],
  [0, 'DEBUG', 34, 7],
];
/** Fields that stand elsewhere in the line, or are of no use there. */
const SHOWN_ELSEWHERE: ReadonlySet<string> = new Set([
  'level',
  'time',
  'pid',
  'msg',
  'link',
  'err',
  'state',
]);

function levelOf({ level }: Line) {
  const all = LEVELS.find(([least]) => Number(level) >= least) ?? LEVELS[4];
  const [, name, colour, priority] = all as (typeof LEVELS)[number];
  return { name, colour, priority };
}

/** `client → raw at /run/x`, for the identity of a link (graph/link.ts); anything else stays as it is. */
export function linkText(id: string): string {
  const parts = id.split('|');
  try {
    const [consumer, name, target] = parts.map(decodeURIComponent);
    if (parts.length === 3) return `${consumer} → ${name} at ${target}`;
  } catch {
    // It is no link's.
  }
  return id;
}

/** One line with its newline, and the stack of an error below it. `json`: as pino writes it; what is none is passed on. */
export function lineText(json: string, { colours = false } = {}): string {
  const line = parsed(json);
  if (!line) return json;
  const { name, colour } = levelOf(line);
  const level = colours ? `\x1b[${colour}m${name}\x1b[39m` : name;
  return `${String(line.time)} ${level.concat(' '.repeat(5 - name.length))} ${bodyOf(line)}`;
}

/** Null: it is none of ours. */
function parsed(json: string): Line | null {
  try {
    return Object(JSON.parse(json));
  } catch {
    return null;
  }
}

/** What comes behind the time and the level. */
function bodyOf(line: Line): string {
  const about = typeof line.link === 'string' ? `${linkText(line.link)}: ` : '';
  const others = Object.entries(line).filter(([key]) => !SHOWN_ELSEWHERE.has(key));
  const fields = others.map(([key, value]) => {
    const isWord = typeof value === 'string' && !/[\s"]/.test(value);
    return ` ${key}=${isWord ? value : JSON.stringify(value)}`;
  });
  const { state, msg = '' } = line;
  const what = typeof state === 'string' && state !== msg ? `${state}: ${msg}` : String(msg);
  const text = `${about}${what}${fields.join('')}`;
  return `${printable(text)}\n${stackOf(line)}`;
}

function stackOf({ err }: Line): string {
  const { stack } = Object(err) as { stack?: unknown };
  if (typeof stack !== 'string') return '';
  return stack
    .split('\n')
    .map((one) => `    ${printable(one)}\n`)
    .join('');
}

/** The same lines, each with the priority that sd-daemon(3) gives it; the time is the journal's own. */
export function journalText(json: string): string {
  const line = parsed(json);
  const priority = line ? levelOf(line).priority : 6; // one that is none of ours is information
  const lines = (line ? bodyOf(line) : json).trimEnd().split('\n');
  return lines.map((one) => `<${priority}>${one}\n`).join('');
}
