/**
 * Which bytes may stand where: the classes of RFC 9110 and RFC 9112 as tables, and the few readers of text, numbers and
 * lists that several fields need. Pure; nothing is copied.
 */

export const HT = 9;
export const LF = 10;
export const CR = 13;
export const SP = 32;
export const COMMA = 44;
export const COLON = 58;
export const SLASH = 47;
export const QUESTION = 63;

function table(chars: string, from = 1, to = 0): Uint8Array {
  const classes = new Uint8Array(256);
  for (let byte = from; byte <= to; byte++) classes[byte] = 1;
  for (const char of chars) classes[char.charCodeAt(0)] = 1;
  return classes;
}

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const TCHAR = table(`${ALPHANUMERIC}!#$%&'*+-.^_\`|~`);

/**
 * A byte of a token: 0 where it can't be one; else a letter in lower case, a digit, or a dash for every other byte. Two
 * names that some server may take for the same are so the same here: CGI and its like make one variable of
 * `X-PV-Role`, `X_PV_Role` and `x.pv.role`.
 */
export const NAME = TCHAR.map((allowed, byte) => {
  if (!allowed) return 0;
  const char = String.fromCharCode(byte);
  return ALPHANUMERIC.includes(char) ? char.toLowerCase().charCodeAt(0) : 45;
});

/** A byte of a field value or a reason phrase: HTAB, SP, VCHAR, obs-text. */
export const VALUE = (() => {
  const classes = table('\t', 0x20, 0xff);
  classes[0x7f] = 0;
  return classes;
})();

/** A byte of a request target: VCHAR but `#`, which begins a fragment: no client sends one. */
export const TARGET = (() => {
  const classes = table('', 0x21, 0x7e);
  classes['#'.charCodeAt(0)] = 0;
  return classes;
})();

/** A byte of a Host: what RFC 3986 allows in `host [":" port]`, with no userinfo. */
export const AUTHORITY = table(`${ALPHANUMERIC}-._~!$&'()*+,;=:%[]`);

/** The value of a hexadecimal digit, -1 for any other byte. */
export const HEX = new Int8Array(256).map((_, byte) => {
  const value = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(value) ? -1 : value;
});

/** Whether the bytes from `from` to `to` are `text`, byte for byte. */
export function isExactly(buffer: Buffer, from: number, to: number, text: string): boolean {
  if (to - from !== text.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (buffer[from + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether the bytes are `text`, which is in lower case, whatever case they are in. */
export function isText(buffer: Buffer, from: number, to: number, text: string): boolean {
  if (to - from !== text.length) return false;
  for (let i = 0; i < text.length; i++) {
    let byte = buffer[from + i] as number;
    if (byte >= 65 && byte <= 90) byte += 32;
    if (byte !== text.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether every byte is of that class. */
export function isAll(classes: Uint8Array, buffer: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    if (classes[buffer[i] as number] === 0) return false;
  }
  return true;
}

/** SP or HTAB. */
export function isBlank(byte: number): boolean {
  return byte === SP || byte === HT;
}

const ZERO = 48;
const NINE = 57;
/** Digits of the largest number that is sure to be exact in JavaScript. */
const MAX_DIGITS = 15;

/** A number of 1 to 15 plain digits; -1 for anything else. */
export function digits(buffer: Buffer, from: number, to: number): number {
  if (to === from || to - from > MAX_DIGITS) return -1;
  let number = 0;
  for (let i = from; i < to; i++) {
    const byte = buffer[i] as number;
    if (byte < ZERO || byte > NINE) return -1;
    number = number * 10 + byte - ZERO;
  }
  return number;
}

/** The members of a list that are not empty (RFC 9110, 5.6.1). A comma in quotes ends a member, too. */
export function forEachMember(
  buffer: Buffer,
  from: number,
  to: number,
  member: (from: number, to: number) => void,
): void {
  let at = from;
  while (at < to) {
    let end = at;
    while (end < to && buffer[end] !== COMMA) end++;
    let last = end;
    while (at < last && isBlank(buffer[at] as number)) at++;
    while (last > at && isBlank(buffer[last - 1] as number)) last--;
    if (last > at) member(at, last);
    at = end + 1;
  }
}
