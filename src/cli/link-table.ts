/** Links as a table for a terminal. */
import type { LinkRow } from './link-row.js';
import { table } from './table.js';

const COLUMNS: readonly Exclude<keyof LinkRow, 'marks'>[] = [
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

/** With a newline after each line. `most`: see table. */
export function linkTable(rows: readonly LinkRow[], most?: number): string {
  if (rows.length === 0) return 'The graph has no links.\n';
  return table(
    COLUMNS,
    rows.map((row) => {
      const state = [row.state, row.marks].filter(Boolean).join(', ');
      return COLUMNS.map((column) => (column === 'state' ? state : row[column]));
    }),
    most,
  );
}
