/** The Date of error pages and of answers that have none (RFC 9110, 6.6.1 and 5.6.7). */

/** A clock before this was never set: a device without a battery starts in 1970, and must date nothing until it is. */
const SENSIBLE_MS = Date.UTC(2024, 0, 1);
const NOTHING = Buffer.alloc(0);

/** Cached for speed: the text changes once a second. */
let second = -1;
let date = '';
let line: Buffer = NOTHING;

function refresh(): void {
  const now = Date.now();
  const current = Math.floor(now / 1000);
  if (current === second) return;
  second = current;
  date = now < SENSIBLE_MS ? '' : new Date(now).toUTCString();
  line = date === '' ? NOTHING : Buffer.from(`Date: ${date}\r\n`);
}

/** The time now, as Date has it; empty where the clock was never set. */
export function currentDate(): string {
  refresh();
  return date;
}

/** The same as a header line with its CRLF; empty where the clock was never set. */
export function dateLine(): Buffer {
  refresh();
  return line;
}
