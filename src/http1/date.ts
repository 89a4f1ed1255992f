/** The Date of answers (RFC 9110, 6.6.1 and 5.6.7), of ours and of those that have none. */

/** A clock before this was never set: a device without a battery begins in 1970, and must not date anything then. */
const SENSIBLE_MS = Date.UTC(2024, 0, 1);
const NOTHING = Buffer.alloc(0);

let second = -1;
let date = '';
let line: Buffer = NOTHING;

function look(): void {
  const now = Date.now();
  const current = Math.floor(now / 1000);
  if (current === second) return;
  second = current;
  date = now < SENSIBLE_MS ? '' : new Date(now).toUTCString();
  line = date === '' ? NOTHING : Buffer.from(`Date: ${date}\r\n`);
}

/** Now, or empty where the clock was never set. */
export function currentDate(): string {
  look();
  return date;
}

/** As a header line, or empty. */
export function dateLine(): Buffer {
  look();
  return line;
}
