/** What a message does, in the terms of a policy: the right that it takes, and a sentence for people. Pure. */
import { RIGHTS, type Use } from '../../graph/use.js';
import { type Header, MessageType } from './header.js';
import { BUS } from './message-writer.js';
import type { NameTracker } from './name-tracker.js';
import { isUnique } from './names.js';
import type { Level } from './policy.js';

export function useOfSend(header: Header, names: NameTracker): Use {
  const name = header.destination as string;
  const isCall = header.type === MessageType.call;
  const what = `${isCall ? 'call' : 'send the signal'} ${methodOf(header)} ${isCall ? 'of' : 'to'} ${name}`;
  return { right: 'call', name, names: wellKnown(name, names), rule: ruleFor(header), what };
}

export function useOfBroadcast(header: Header, names: NameTracker): Use {
  const name = header.sender as string;
  const what = `hear ${methodOf(header)} of ${name}`;
  return { right: 'broadcast', name, names: wellKnown(name, names), rule: ruleFor(header), what };
}

/** A call of a method of the bus that is about a name. */
export function useOfName(header: Header, name: string, needs: Level, names: NameTracker): Use {
  const right = RIGHTS[Math.max(0, needs - 1)] ?? 'see';
  const what = `ask the bus for ${header.member} of ${name}`;
  return { right, name, names: wellKnown(name, names), what };
}

/** A call of a method of the bus that no rule can allow. */
export function beyondRules(header: Header): Use {
  return { right: 'call', name: BUS, names: [], what: `call ${methodOf(header)} of the bus` };
}

export function methodOf({ interface: of, member }: Header): string {
  return of === undefined ? String(member) : `${of}.${member}`;
}

/** `[METHOD][@PATH]`: the rule that allows this one message. */
function ruleFor({ interface: of, member, path }: Header): string {
  return `${of === undefined ? '*' : `${of}.${member}`}@${path}`;
}

function wellKnown(name: string, names: NameTracker): readonly string[] {
  return isUnique(name) ? [...names.namesOf(name)] : [name];
}
