/** Links as a table for a terminal. */
import type { LinkRow } from './link-row.js';
import { table } from './table.js';

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
  return table(
    COLUMNS,
    rows.map((row) => COLUMNS.map((column) => row[column])),
  );
}
