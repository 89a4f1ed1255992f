/**
 * How two links of one identity differ, as the table of link fields has it. Everything counts that the table does not
 * say is to be ignored, also what a foreign graph has beside our fields: a plugin may read it.
 */
import { createHash } from 'node:crypto';
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

/** The fields, by their names in the wire form, of which another value changes something about an attached link. */
export function changedFields(before: Link, after: Link): string[] {
  const fields = ROWS.filter(([key, { absent, onChange }]) => {
    return onChange !== 'nothing' && !isSame(before[key] ?? absent, after[key] ?? absent);
  }).map(([, { wire }]) => wire);
  return isSame(before.extra, after.extra) ? fields : [...fields, 'options'];
}

/** A link as a daemon that did not attach it knows it: a digest of what each strength of change is about. */
export interface LinkDigest {
  readonly reattach: string;
  readonly revoke: string;
}

/** For `changeSince`. Links of which nothing changed but their provider's process have the same. */
export function digestOf(link: Link): LinkDigest {
  const fieldsOf = (change: Change) =>
    RANKED.filter(([, , rank]) => CHANGES[rank] === change).map(
      ([key, absent]) => link[key] ?? absent,
    );
  return {
    reattach: sha256([...fieldsOf('reattach'), link.extra]),
    revoke: sha256(fieldsOf('revoke')),
  };
}

/** As `changeOf`, but that it tells no change of a provider's process. */
export function changeSince(before: LinkDigest, after: Link): Change {
  const { reattach, revoke } = digestOf(after);
  if (before.revoke !== revoke) return 'revoke';
  return before.reattach === reattach ? 'nothing' : 'reattach';
}

function sha256(values: readonly unknown[]): string {
  const text = JSON.stringify(values, (_key, value) => sorted(value));
  return createHash('sha256').update(text).digest('base64');
}

/** An object with its keys in order: what reads it may write them in another. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whether they say the same, pids and errors included. */
export function isSameLink(a: Link, b: Link): boolean {
  return (
    changeOf(a, b) === 'nothing' &&
    isSame(a.error, b.error) &&
    isSame(a.consumerEnd, b.consumerEnd) &&
    a.optional === b.optional
  );
}

function isSame(a: unknown, b: unknown): boolean {
  return a === b || isDeepStrictEqual(a, b);
}
