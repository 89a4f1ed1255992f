/**
 * Aligned columns for a terminal. Cells may come from containers: nothing in them can move the cursor, break a line or
 * turn its direction.
 */
import { printable } from '../manifest/text.js';

const BETWEEN = 2;
/** No cell is cut to less. */
const LEAST = 8;

/**
 * The head in capitals, then a line each row; `-` for an empty cell. With a newline after each line. `most`: what fits into
 * a line, in columns; of the widest cells the end is left out until they do.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  most = Number.POSITIVE_INFINITY,
): string {
  const body = rows.map((row) => row.map((cell) => printable(cell) || '-'));
  const lines = [head.map((cell) => cell.toUpperCase()), ...body];
  const natural = head.map((_, index) => {
    return lines.reduce((widest, cells) => Math.max(widest, width(cells[index] ?? '')), 0);
  });
  const widths = narrowed(natural, most - BETWEEN * (head.length - 1));
  const padded = lines.map((cells) =>
    cells
      .map((cell, index) => {
        const shown = cut(cell, widths[index] ?? 0);
        return shown + ' '.repeat((widths[index] ?? 0) - width(shown));
      })
      .join(' '.repeat(BETWEEN))
      .trimEnd(),
  );
  return `${padded.join('\n')}\n`;
}

/** The widest are made narrower, as far as that goes, until all fit into `most`. */
function narrowed(widths: readonly number[], most: number): number[] {
  const narrow = [...widths];
  let excess = narrow.reduce((sum, one) => sum + one, 0) - most;
  for (; excess > 0; excess--) {
    const widest = Math.max(...narrow);
    if (widest <= LEAST) break;
    narrow[narrow.indexOf(widest)] = widest - 1;
  }
  return narrow;
}

function cut(cell: string, most: number): string {
  return width(cell) <= most ? cell : `${[...cell].slice(0, most - 1).join('')}…`;
}

/** In code points, which is what most names take on a terminal. */
function width(cell: string): number {
  return [...cell].length;
}
