/**
 * How two links of one identity differ, as the table of link fields has it. Everything counts that the table does not
 * say is to be ignored, also what a foreign graph has beside our fields: a plugin may read it.
 */
import { isDeepStrictEqual } from 'node:util';
import { CHANGES, type Change, ROWS } from '../manifest/link-fields.js';
import type { Link } from './link.js';

/** Each field with what its absence means, and how strong a change of it is. */
const RANKED = ROWS.map(
  ([key, { absent, onChange }]) => [key, absent, CHANGES.indexOf(onChange)] as const,
);
const REATTACH = CHANGES.indexOf('reattach');

/** The strongest of what has to be done about an attached link `before` that is to become `after`. */
export function changeOf(before: Link, after: Link): Change {
  let strongest = isSame(before.extra, after.extra) ? 0 : REATTACH;
  for (const [key, absent, rank] of RANKED) {
    if (rank <= strongest) continue;
    if (!isSame(before[key] ?? absent, after[key] ?? absent)) strongest = rank;
  }
  return CHANGES[strongest] as Change;
}

/** Whether they say the same, pids and errors included. */
export function isSameLink(a: Link, b: Link): boolean {
  return changeOf(a, b) === 'nothing' && isSame(a.error, b.error);
}

function isSame(a: unknown, b: unknown): boolean {
  return a === b || isDeepStrictEqual(a, b);
}
