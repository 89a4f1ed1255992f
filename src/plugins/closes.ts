/** One connection more that ended for this reason. */
import type { Tally } from './connection.js';

export function countClose({ closes }: Pick<Tally, 'closes'>, reason: string): void {
  closes[reason] = (closes[reason] ?? 0) + 1;
}
