/**
 * Rules about HTTP requests, `METHOD /path/**`: read, and held against a request. Pure.
 *
 * A path is compared by its segments, percent-decoded. One that some server might take for another path than we do
 * matches no rule at all: dot segments, also as `%2e` or `..;`; empty ones within; an encoded slash or backslash;
 * what is encoded twice, or is no UTF-8. So whatever a rule lets pass means to every provider what it says.
 */

export interface HttpRule {
  /** Null: any. */
  readonly methods: ReadonlySet<string> | null;
  /** Of the path; `*` is any one. Null: the request is about the server itself, `OPTIONS *`. */
  readonly segments: readonly string[] | null;
  /** `**` at the end: whatever follows. */
  readonly open: boolean;
}

const RULE = /^(\*|[A-Z]+(?:,[A-Z]+)*) (\*|\/\S*)$/;
const ANY = '*';
const REST = '**';

/** Null: it is no rule. */
export function parseRule(text: string): HttpRule | null {
  const [, methods = '', path = ''] = RULE.exec(text) ?? [];
  if (path === '') return null;
  const named = methods === ANY ? null : new Set(methods.split(','));
  if (named?.has('GET')) named.add('HEAD'); // the same, but for the body
  if (path === ANY) return { methods: named, segments: null, open: false };
  const segments = segmentsOf(path);
  if (!segments || /[?#%]/.test(path)) return null;
  const open = segments.at(-1) === REST;
  if (open) segments.pop();
  const misplaced = segments.some((segment) => segment !== ANY && segment.includes(ANY));
  return misplaced ? null : { methods: named, segments, open };
}

/** `target` as the request has it: a path, perhaps with a query, or `*`. */
export function isAllowed(rules: readonly HttpRule[], method: string, target: string): boolean {
  const [path = ''] = target.split('?', 1);
  const segments = path === ANY ? null : segmentsOf(path);
  if (segments === null && path !== ANY) return false;
  return rules.some((rule) => {
    if (rule.methods && !rule.methods.has(method)) return false;
    if (segments === null || rule.segments === null) return segments === rule.segments;
    return matches(rule.segments, rule.open, segments);
  });
}

function matches(wanted: readonly string[], open: boolean, found: readonly string[]): boolean {
  if (found.length < wanted.length || (found.length > wanted.length && !open)) return false;
  return wanted.every((segment, i) => (segment === ANY ? found[i] !== '' : segment === found[i]));
}

/** The decoded segments of a path; null where what it means is not certain. */
export function segmentsOf(path: string): string[] | null {
  if (!path.startsWith('/') || path.includes('\\')) return null;
  const segments = path.slice(1).split('/');
  const decoded: string[] = [];
  for (const [index, segment] of segments.entries()) {
    const text = decode(segment);
    if (text === null || isUncertain(text)) return null;
    const [name = ''] = text.split(';', 1); // some servers see no further
    const isLast = index === segments.length - 1;
    if (name === '.' || name === '..') return null;
    if (name === '' && (text !== '' || !isLast)) return null;
    decoded.push(text);
  }
  return decoded;
}

function decode(segment: string): string | null {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

function isUncertain(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /[/\\\x00-\x1f\x7f]|%[0-9a-f]{2}/i.test(text);
}
