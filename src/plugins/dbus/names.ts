/**
 * Which texts are valid names (D-Bus specification, "Valid Names" and "Valid Object Paths"). Pure. Each check takes
 * time in proportion to the length of the text.
 */
const MAX_NAME = 255;
const ELEMENTS = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+$/;
const MEMBER = /^[A-Za-z_][A-Za-z0-9_]*$/;
const WELL_KNOWN = /^[A-Za-z_-][A-Za-z0-9_-]*(?:\.[A-Za-z_-][A-Za-z0-9_-]*)+$/;
const UNIQUE = /^:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+$/;
const PATH = /^[A-Za-z0-9_/]+$/;

/** An interface, or the name of an error. */
export function isInterface(text: string): boolean {
  return text.length <= MAX_NAME && ELEMENTS.test(text);
}

export function isMember(text: string): boolean {
  return text.length <= MAX_NAME && MEMBER.test(text);
}

export function isUnique(name: string): boolean {
  return name.charCodeAt(0) === 0x3a; // a colon
}

/** Unique or well-known. */
export function isBusName(text: string): boolean {
  return text.length <= MAX_NAME && (isUnique(text) ? UNIQUE : WELL_KNOWN).test(text);
}

export function isPath(text: string): boolean {
  if (text === '/') return true;
  return text.startsWith('/') && !text.endsWith('/') && !text.includes('//') && PATH.test(text);
}
