/**
 * Links as an aligned table for a terminal. Names come from containers: nothing in them can move the cursor, break
 * a line or turn its direction.
 */
import { printable } from '../manifest/text.js';
import type { LinkRow } from './link-row.js';

const COLUMNS: readonly (keyof LinkRow)[] = [
  'consumer',
  'service',
  'type',
  'role',
  'provider',
  'target',
  'state',
  'connections',
  'error',
];

/** With a newline after each line. */
export function linkTable(rows: readonly LinkRow[]): string {
  if (rows.length === 0) return 'The graph has no links.\n';
  const head = COLUMNS.map((column) => column.toUpperCase());
  const body = rows.map((row) => COLUMNS.map((column) => printable(row[column]) || '-'));
  const lines = [head, ...body];
  const widths = COLUMNS.map((_, index) => {
    return lines.reduce((widest, cells) => Math.max(widest, width(cells[index] ?? '')), 0);
  });
  const padded = lines.map((cells) =>
    cells
      .map((cell, index) => cell + ' '.repeat((widths[index] ?? 0) - width(cell)))
      .join('  ')
      .trimEnd(),
  );
  return `${padded.join('\n')}\n`;
}

/** In code points, which is what most names take on a terminal. */
function width(cell: string): number {
  return [...cell].length;
}
