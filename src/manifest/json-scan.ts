/**
 * What JSON.parse does not tell: how deep a text is nested, before it is parsed, and which object keys
 * come twice, after. Both are one pass over the text, without recursion.
 */
import { pointerTo } from './problem.js';

/** True where arrays and objects are nested more than `max` deep. The text need not be valid JSON. */
export function deeperThan(text: string, max: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') at = stringEnd(text, at);
    else if (character === '{' || character === '[') {
      if (++depth > max) return true;
    } else if (character === '}' || character === ']') depth--;
  }
  return false;
}

interface Frame {
  /** null: an array. */
  readonly keys: Set<string> | null;
  /** The key or index that the scan is in. */
  key: string | number;
  /** The next string is a key. */
  expectsKey: boolean;
}

/** JSON pointers of the keys that come a second time, at most `max` of them. The text must be valid JSON. */
export function duplicateKeys(text: string, max: number): string[] {
  const found: string[] = [];
  const frames: Frame[] = [];
  for (let at = 0; at < text.length && found.length < max; at++) {
    const frame = frames.at(-1);
    switch (text[at]) {
      case '{':
        frames.push({ keys: new Set(), key: '', expectsKey: true });
        break;
      case '[':
        frames.push({ keys: null, key: 0, expectsKey: false });
        break;
      case '}':
      case ']':
        frames.pop();
        break;
      case ',':
        if (frame?.keys) frame.expectsKey = true;
        else if (frame) frame.key = Number(frame.key) + 1;
        break;
      case '"': {
        const end = stringEnd(text, at);
        if (frame?.keys && frame.expectsKey) {
          frame.key = JSON.parse(text.slice(at, end + 1)) as string;
          frame.expectsKey = false;
          if (frame.keys.has(frame.key)) found.push(pointerOf(frames));
          frame.keys.add(frame.key);
        }
        at = end;
      }
    }
  }
  return found;
}

/** Index of the quote that ends the string which begins at `start`; the text's end where there is none. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
  return text.length;
}

function pointerOf(frames: readonly Frame[]): string {
  return frames.reduce((pointer, frame) => pointerTo(pointer, frame.key), '');
}
