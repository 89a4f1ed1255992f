/**
 * Aligned columns for a terminal. Cells may come from containers: nothing in them can move the cursor, break a line or
 * turn its direction.
 */
import { printable } from '../manifest/text.js';

/** The head in capitals, then a line each row; `-` for an empty cell. With a newline after each line. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const body = rows.map((row) => row.map((cell) => printable(cell) || '-'));
  const lines = [head.map((cell) => cell.toUpperCase()), ...body];
  const widths = head.map((_, index) => {
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
