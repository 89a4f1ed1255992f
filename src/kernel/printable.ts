/** Text that came from outside, shown on a line of a terminal or of a log without trusting it. */

/** Control and format characters (bidirectional overrides, say), which change how a line looks, and what breaks one. */
const DECEPTIVE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

/** For one line of a terminal: what could break the line or mislead the reader is escaped as in JSON, such as `\u001b`. */
export function printable(text: string): string {
  return text.replace(DECEPTIVE, escaped);
}

/** `\u001b`, for each UTF-16 code unit. */
export function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
