/**
 * What somebody meant who wrote a name that nobody knows: the nearest known one, or none where that would be a guess.
 */

/** The alphabets, cases and separators that people mix up: `allowFrom`, `allow-from` and `Allow_From` are one. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[\s_.-]/g, '');
}

/** Longer names are not compared. */
const MAX_LENGTH = 64;
/** No more names are compared, so that a manifest with many of them costs little time. */
const MAX_KNOWN = 1_000;

/**
 * The known name that `word` is a misspelling of: the same but for case and separators, or at most `most` edits away,
 * and fewer where the name is short. The first of those that are equally near.
 */
export function nearest(word: string, known: Iterable<string>, most = 2): string | undefined {
  const meant = plain(word);
  if (meant === '' || word.length > MAX_LENGTH) return undefined;
  let found: string | undefined;
  let best = Number.POSITIVE_INFINITY;
  let count = 0;
  for (const name of known) {
    if (++count > MAX_KNOWN) break;
    const other = plain(name);
    const limit = Math.min(most, other.length < 3 ? 0 : other.length <= 5 ? 1 : 2);
    const distance = edits(meant, other, limit);
    if (distance <= limit && distance < best) [found, best] = [name, distance];
  }
  return found;
}

/** ` (did you mean "raw"?)`, or nothing. */
export function suggestion(word: unknown, known: Iterable<string>): string {
  const meant = typeof word === 'string' ? nearest(word, known) : undefined;
  return meant === undefined ? '' : ` (did you mean ${JSON.stringify(meant)}?)`;
}

/**
 * Characters inserted, left out, replaced or swapped with their neighbour between two words: the Damerau-Levenshtein
 * distance in its form "optimal string alignment". More than `limit`: some number beyond it. Only what is within
 * `limit` of the diagonal is looked at, and the comparison ends once the distance must be larger.
 */
function edits(a: string, b: string, limit: number): number {
  const beyond = limit + 1;
  if (Math.abs(a.length - b.length) > limit) return beyond;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row: number[] = new Array(b.length + 1).fill(beyond);
    let best = i <= limit ? i : beyond;
    row[0] = best;
    for (let j = Math.max(1, i - limit); j <= Math.min(b.length, i + limit); j++) {
      const replaced = (last[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(replaced, (last[j] as number) + 1, (row[j - 1] as number) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] as number) + 1);
      }
      row[j] = least;
      best = Math.min(best, least);
    }
    if (best > limit) return beyond;
    [before, last] = [last, row];
  }
  return last[b.length] as number;
}
