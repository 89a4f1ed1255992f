/**
 * From values to what is printed. Pure.
 *
 * Ratios are taken round by round, of values measured seconds apart, and their median is shown: a machine
 * that was busy for a while then touches both sides alike.
 */
import type { Metric } from './probes.js';

/** One metric of one subject; one value a round, null where a round failed. */
export interface Series {
  readonly subject: string;
  readonly title: string;
  readonly values: readonly (number | null)[];
}

export interface Row extends Series {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  /** Ratio to no proxy; above 1 is better. */
  readonly toNone: number | null;
  /** Ratio of ours, with descriptors enabled, to this subject; above 1: ours is better. */
  readonly ours: number | null;
  /** The same for ours without descriptors. */
  readonly oursBytes: number | null;
}

export interface Table {
  readonly metric: Metric;
  readonly rows: readonly Row[];
}

export const LEGEND = [
  'A ratio says how many times as good, 2 is twice as good, whether more or less is better:',
  '  ÷ none      this, as against no proxy',
  '  ours ÷ it   pv-xconnect with descriptors enabled, as against this',
  '  bytes ÷ it  pv-xconnect with "fds": false, as against this',
].join('\n');

export const OURS = 'ours';
export const OURS_BYTES = 'ours-bytes';
export const NONE = 'none';

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** By which factor `a` is better than `b`; null if they have no round in common. */
export function ratio(
  a: Series | undefined,
  b: Series | undefined,
  better: 'more' | 'less',
): number | null {
  const ratios = (a?.values ?? []).flatMap((value, round) => {
    const other = b?.values[round];
    if (!value || !other) return [];
    return [better === 'more' ? value / other : other / value];
  });
  return ratios.length === 0 ? null : median(ratios);
}

export function tableOf(metric: Metric, all: readonly Series[]): Table {
  const series = (key: string) => all.find((one) => one.subject === key);
  const rows = all.flatMap((one): Row[] => {
    const values = one.values.filter((value): value is number => value !== null);
    if (values.length === 0) return [];
    return [
      {
        ...one,
        min: Math.min(...values),
        median: median(values),
        max: Math.max(...values),
        toNone: ratio(one, series(NONE), metric.better),
        ours: ratio(series(OURS), one, metric.better),
        oursBytes: ratio(series(OURS_BYTES), one, metric.better),
      },
    ];
  });
  return { metric, rows };
}

export function formatTable({ metric, rows }: Table): string {
  const header = ['', 'min', 'median', 'max', '÷ none', 'ours ÷ it', 'bytes ÷ it'];
  const cells = rows.map((row) => [
    row.title,
    ...[row.min, row.median, row.max].map(formatNumber),
    ...[row.toNone, row.ours, row.oursBytes].map(formatRatio),
  ]);
  const widths = header.map((_, column) =>
    Math.max(...[header, ...cells].map((line) => line[column]?.length ?? 0)),
  );
  const lines = [header, ...cells].map((line) =>
    line
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd(),
  );
  return [`${metric.title} (${metric.unit}, ${metric.better} is better)`, ...lines].join('\n');
}

export function formatNumber(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(digits).replace(/\B(?=(\d{3})+$)/g, ' ');
}

function formatRatio(value: number | null): string {
  return value === null ? '-' : value.toFixed(2);
}
