/**
 * What JSON.parse does not tell: how deep a text is nested, before it is parsed; where it is wrong and what belongs
 * there, for people; which object keys come twice. Each is one pass over the text.
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

/** Where a text stops being JSON, and what would go on there. */
export interface JsonFault {
  /** From 1, the column in UTF-16 code units. */
  readonly line: number;
  readonly column: number;
  readonly found: string;
  readonly expected: string;
}

const SHOWN = 24;
const NO_COMMA = 'no comma before it';

/** The first fault (RFC 8259); null where the text is JSON. It recurses: at most as deep as `deeperThan` allowed. */
export function jsonFault(text: string): JsonFault | null {
  const scan = new FaultScan(text);
  scan.value('a value');
  if (!scan.expected) scan.end();
  if (!scan.expected) return null;
  const before = text.slice(0, scan.at);
  const line = before.split('\n').length;
  const column = scan.at - before.lastIndexOf('\n');
  const tail = before.trimEnd().split('\n').at(-1)?.trim() ?? '';
  const shown = tail.length > SHOWN ? `...${tail.slice(-SHOWN)}` : tail;
  const after = shown === '' ? '' : `, after \`${shown}\``;
  return {
    line,
    column,
    found: `${foundAt(text, scan.at)} at line ${line}, column ${column}${after}`,
    expected: isComment(text, scan.at) ? 'no comments, which JSON has not' : scan.expected,
  };
}

const LITERAL = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

class FaultScan {
  at = 0;
  /** Set once something is wrong; nothing is read after that. */
  expected: string | null = null;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  value(expected: string): void {
    const next = this.#peek();
    if (next === '{') this.#list('}', 'a key in double quotes', (key) => this.#member(key));
    else if (next === '[') this.#list(']', 'a value', (item) => this.value(item));
    else if (next === '"') this.#string();
    else if (!this.#match(LITERAL)) this.expected = expected;
  }

  end(): void {
    if (this.#peek() !== undefined) this.expected = 'nothing more';
  }

  /** From its opening bracket to its end. `read` is told what to miss where there is no item. */
  #list(close: '}' | ']', item: string, read: (expected: string) => void): void {
    this.at++;
    if (this.#taken(close)) return;
    let expected = `${item} or "${close}"`;
    for (;;) {
      if (this.#peek() === close) this.expected = NO_COMMA;
      else read(expected);
      if (this.expected || this.#taken(close)) return;
      if (!this.#taken(',')) this.expected = `"," or "${close}"`;
      if (this.expected) return;
      expected = item;
    }
  }

  #member(expected: string): void {
    if (this.#peek() === '"') this.#string();
    else this.expected = expected;
    if (this.expected) return;
    if (this.#taken(':')) this.value('a value');
    else this.expected = '":" and a value';
  }

  /** Without one pattern for all of it, as the engine's stack is too small for a string of some MiB. */
  #string(): void {
    this.at++;
    do {
      while (isPlain(this.#text.charCodeAt(this.at))) this.at++;
    } while (this.#match(ESCAPE));
    if (this.#text[this.at] === '"') this.at++;
    else if (this.#text[this.at] === '\\') this.expected = 'an escape such as \\n, \\" or \\u0041';
    else this.expected = 'the closing double quote';
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    const matched = pattern.test(this.#text);
    if (matched) this.at = pattern.lastIndex;
    return matched;
  }

  #taken(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.at++;
    return true;
  }

  #peek(): string | undefined {
    while (' \t\n\r'.includes(this.#text[this.at] ?? 'x')) this.at++;
    return this.#text[this.at];
  }
}

/** Of a string; NaN: the text ends. */
function isPlain(code: number): boolean {
  return code >= 0x20 && code !== 0x22 && code !== 0x5c;
}

function foundAt(text: string, at: number): string {
  const rest = text.slice(at, at + SHOWN);
  if (rest === '') return 'the end of the file';
  if (isComment(text, at)) return 'a comment';
  if (rest.startsWith("'")) return 'a single quote';
  if (rest.startsWith('\n') || rest.startsWith('\r')) return 'the end of the line';
  if (rest.startsWith('"')) return `the string ${/^"[^"]*"?/.exec(rest)?.[0]}`;
  const word = /^[\w$]+/.exec(rest)?.[0] ?? String.fromCodePoint(rest.codePointAt(0) ?? 0);
  return JSON.stringify(word);
}

function isComment(text: string, at: number): boolean {
  return text.startsWith('//', at) || text.startsWith('/*', at);
}
