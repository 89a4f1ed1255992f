/**
 * Decides whether a consumer may do what a message does, by its policy and by who owns which name now. Pure.
 */
import type { Use } from '../../graph/use.js';
import {
  ACCESS_DENIED,
  type AsIfAbsent,
  type BusMethod,
  INVALID_ARGS,
  nameHasNoOwner,
  serviceUnknown,
  UNKNOWN_METHOD,
} from './bus-methods.js';
import { Flag, type Header, MessageType } from './header.js';
import { isEavesdropping } from './match-rule.js';
import { BUS } from './message-writer.js';
import type { NameTracker } from './name-tracker.js';
import { type Grant, Level, mayHear, maySend } from './policy.js';
import { beyondRules, methodOf, useOfBroadcast, useOfName, useOfSend } from './use.js';

const PEER = `${BUS}.Peer`;

export interface Denial {
  /** What was denied; null: no right is missing, the message itself is wrong. */
  readonly use: Use | null;
  readonly answer: AsIfAbsent;
}

/** A call or a signal to one receiver on the bus. Null: it is allowed. */
export function judgeSend(header: Header, names: NameTracker): Denial | null {
  const name = header.destination as string;
  const grant = names.towards(name);
  if (maySend(grant, header)) return null;
  const use = useOfSend(header, names);
  if (grant.level >= Level.see) return denied(use);
  const isStarting = (header.flags & Flag.noAutoStart) === 0;
  return { use, answer: isStarting ? serviceUnknown(name) : nameHasNoOwner(name) };
}

/**
 * A signal to a client that has called the consumer. Like an answer to that client, it needs no right: services tell
 * their callers of jobs that way. (xdg-dbus-proxy passes answers only.)
 */
export function isSignalToCaller({ type, destination }: Header, names: NameTracker): boolean {
  return type === MessageType.signal && names.hasCalled(destination as string);
}

/** What a bus answers to a call without a receiver, unless it is of one of the few methods that it takes as its own. */
export function noSuchMethod({ member, interface: of, signature }: Header): Denial {
  const message =
    of === PEER
      ? `Unknown method invoked on ${PEER} interface`
      : `Method "${member}" with signature "${signature}" on interface "${of ?? '(null)'}" doesn't exist\n`;
  return { use: null, answer: { error: UNKNOWN_METHOD, message } };
}

/** A broadcast signal. Null: the consumer may hear it. */
export function judgeBroadcast(header: Header, names: NameTracker): Denial | null {
  if (mayHear(names.towards(header.sender as string), header)) return null;
  return denied(useOfBroadcast(header, names));
}

/** A call of a method of the bus itself. `arg`: its first argument, if that is a string. Null: it is allowed. */
export function judgeBusCall(
  header: Header,
  method: BusMethod | undefined,
  arg: string | undefined,
  names: NameTracker,
): Denial | null {
  if (!method) return denied(beyondRules(header));
  if (method.is === 'match') return judgeMatch(header, arg);
  if (method.is !== 'about-name') return null;
  if (header.signature !== method.signature || arg === undefined) {
    return wrongArguments(header, method.signature);
  }
  if (arg === BUS && method.needs < Level.own) return null;
  const grant = names.towards(arg);
  if (isEnough(grant, method.needs)) return null;
  const use = useOfName(header, arg, method.needs, names);
  if (grant.level < Level.see && method.absent) return { use, answer: method.absent(arg) };
  return denied(use);
}

/** A consumer that may call anything of a name may have it started, too. */
function isEnough(grant: Grant, needs: Level): boolean {
  return grant.level >= needs || (needs === Level.talk && grant.calls.length > 0);
}

/** A rule in a message that is too long to be read is refused, since it could be any. */
function judgeMatch(header: Header, rule: string | undefined): Denial | null {
  if (header.signature !== 's' || rule === undefined) return wrongArguments(header, 's');
  const isOverheard = header.member === 'AddMatch' && isEavesdropping(rule);
  return isOverheard
    ? denied({ ...beyondRules(header), what: 'overhear messages to others' })
    : null;
}

function wrongArguments(header: Header, signature: string): Denial {
  const message = `${methodOf(header)} takes arguments "${signature}", in a message of at most 64 KiB.`;
  return { use: null, answer: { error: INVALID_ARGS, message } };
}

function denied(use: Use): Denial {
  return {
    use,
    answer: { error: ACCESS_DENIED, message: `The policy does not let you ${use.what}.` },
  };
}
