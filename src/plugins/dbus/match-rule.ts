/**
 * Match rules (D-Bus specification, "Match Rules"), as far as they matter here: whether a rule asks to overhear
 * messages to others, and whether it asks for changes of owners. Pure.
 */
import { BUS, BUS_PATH } from './message-writer.js';
import { OWNER_CHANGED } from './owner-change.js';

export type MatchRule = ReadonlyMap<string, string>;

/**
 * Null: it is no rule, and the bus will answer its sender with an error. Rules are read exactly as dbus-daemon reads
 * them: outside quotes, a backslash belongs to the next character, and is removed before a quote.
 */
export function parseMatchRule(text: string): MatchRule | null {
  const rule = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    const equals = text.indexOf('=', at);
    if (equals < 0) return text.slice(at).trim() === '' ? rule : null;
    const key = text.slice(at, equals).trim();
    if (rule.has(key)) return null;
    let value = '';
    let quoted = false;
    for (at = equals + 1; at < text.length; at++) {
      const character = text[at] as string;
      if (character === "'") quoted = !quoted;
      else if (character === ',' && !quoted) break;
      else if (character === '\\' && !quoted && at + 1 < text.length) {
        const escaped = text[++at] as string;
        value += escaped === "'" ? escaped : character + escaped;
      } else value += character;
    }
    if (quoted) return null;
    rule.set(key, value);
    at++;
  }
  return rule;
}

/** Whether the rule asks to overhear messages to others. True in doubt. */
export function isEavesdropping(text: string): boolean {
  const rule = parseMatchRule(text);
  if (!rule) return text.includes('eavesdrop');
  const value = rule.get('eavesdrop');
  return value !== undefined && value !== 'false';
}

/** Which names a rule asks for, to be told of their owners: one name; one and all below it; or (neither is set) all. */
export interface OwnersWanted {
  readonly name?: string;
  readonly namespace?: string;
}

/** Null: the rule asks for no changes of owners. */
export function ownersAskedFor(rule: MatchRule): OwnersWanted | null {
  const is = (key: string, wanted: string) => (rule.get(key) ?? wanted) === wanted;
  const isSignal = is('type', 'signal') && is('sender', BUS) && is('interface', BUS);
  if (!isSignal || !is('member', OWNER_CHANGED) || !is('path', BUS_PATH)) return null;
  const [name, namespace] = [rule.get('arg0'), rule.get('arg0namespace')];
  if (name === undefined) return namespace === undefined ? {} : { namespace };
  const isWithin = namespace === undefined || `${name}.`.startsWith(`${namespace}.`);
  return isWithin ? { name } : null;
}
