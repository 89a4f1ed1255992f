/** The aims for pv-xconnect, compared with the measured tables. Pure. */
import { OURS, OURS_BYTES, type Row, type Table } from './report.js';

export interface AimResult {
  readonly aim: string;
  /** null: not measured in this run. */
  readonly value: number | null;
  readonly met: boolean | null;
}

export interface Aim {
  readonly text: string;
  readonly metric: string;
  /** The row of the table, and which of its values is compared. */
  readonly subject: string;
  readonly of: (row: Row) => number | null;
  readonly met: (value: number) => boolean;
}

/** By which factor ours, with descriptors enabled, is to be better than that subject. */
export function oursAtLeast(least: number, text: string, metric: string, subject: string): Aim {
  return { text, metric, subject, of: (row) => row.ours, met: (value) => value >= least };
}

const asHaproxy = (metric: string, what: string) =>
  oursAtLeast(1, `${what}: at least 1.0 x HAProxy`, metric, 'haproxy');

const BULK = [
  ['bulk-1', '1 stream'],
  ['bulk-4', '4 streams'],
] as const;
const EVEN = [
  ['pingpong-1', 'ping-pong, 1 connection'],
  ['pingpong-16', 'ping-pong, 16 connections'],
  ['connect', 'connections per second'],
] as const;

export const AIMS: readonly Aim[] = [
  ...BULK.map(([metric, what]) =>
    oursAtLeast(1.5, `bulk, ${what}: at least 1.5 x HAProxy`, metric, 'haproxy'),
  ),
  ...BULK.map(
    ([metric, what]): Aim => ({
      text: `bulk, ${what}, "fds": false: at least 1.0 x systemd-socket-proxyd`,
      metric,
      subject: 'socket-proxyd',
      of: (row) => row.oursBytes,
      met: (value) => value >= 1,
    }),
  ),
  ...EVEN.map(([metric, what]) => asHaproxy(metric, what)),
  ...[OURS, OURS_BYTES].flatMap((subject): Aim[] => [
    {
      text: `1,000 links usable in under 1,000 ms (${subject})`,
      metric: 'usable-1000',
      subject,
      of: (row) => row.median,
      met: (value) => value < 1000,
    },
    {
      text: `first link usable in under 150 ms from the execution on (${subject})`,
      metric: 'start',
      subject,
      of: (row) => row.median,
      met: (value) => value < 150,
    },
    {
      text: `resident memory under 64 MiB with 100 links (${subject})`,
      metric: 'resident-rss',
      subject,
      of: (row) => row.max,
      met: (value) => value < 64,
    },
    {
      text: `proportional memory under 24 MiB with 100 links (${subject})`,
      metric: 'resident-pss',
      subject,
      of: (row) => row.max,
      met: (value) => value < 24,
    },
  ]),
];

/** Of tcp links. */
export const TCP_AIMS: readonly Aim[] = [
  ...BULK.map(([metric, what]) => asHaproxy(metric, `tcp, bulk, ${what}`)),
  ...EVEN.map(([metric, what]) => asHaproxy(metric, `tcp, ${what}`)),
];

export function checkAims(tables: readonly Table[], aims: readonly Aim[]): AimResult[] {
  return aims.map(({ text, metric, subject, of, met }) => {
    const table = tables.find((one) => one.metric.key === metric);
    const row = table?.rows.find((one) => one.subject === subject);
    const value = row ? of(row) : null;
    return { aim: text, value, met: value === null ? null : met(value) };
  });
}

export function formatAim({ aim, value, met }: AimResult): string {
  const verdict = met === null ? 'not measured' : met ? 'met' : 'MISSED';
  return `  ${verdict.padEnd(12)}  ${aim}${value === null ? '' : `: ${value.toFixed(2)}`}`;
}

export function formatAims(results: readonly AimResult[]): string {
  return ['Aims', ...results.map(formatAim)].join('\n');
}
