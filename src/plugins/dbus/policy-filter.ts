/**
 * Enforces the policy of a consumer, message by message. See policy.ts for what a policy says, judge.ts for how it
 * decides.
 *
 * After the consumer's Hello, nothing more of it passes until we know who owns the names that it may see. The bus is
 * asked for them on the consumer's own connection, where later changes arrive in order with all other messages.
 */
import type { Use } from '../../graph/use.js';
import { busMethod, INVALID_ARGS, LIMITS_EXCEEDED } from './bus-methods.js';
import type { MessageFilter, Port, Verdict } from './filter.js';
import { type Header, MessageType, wantsReply } from './header.js';
import {
  type Denial,
  isSignalToCaller,
  judgeBroadcast,
  judgeBusCall,
  judgeSend,
  noSuchMethod,
} from './judge.js';
import { type OwnersWanted, ownersAskedFor, parseMatchRule } from './match-rule.js';
import type { Message } from './message.js';
import { BUS, errorReply, reply } from './message-writer.js';
import { NameTracker } from './name-tracker.js';
import { isUnique } from './names.js';
import { OWNER_CHANGED, OWNER_CHANGES, readOwnerChange } from './owner-change.js';
import { Level, type Policy } from './policy.js';
import { isFromBus } from './questions.js';
import { isReply, Replies } from './replies.js';
import { useOfBroadcast, useOfName, useOfSend } from './use.js';

/** A consumer with more rules is told of every name that it may see. */
const MAX_SUBSCRIPTIONS = 1024;

/** Is told what the consumer does, as far as it takes a right: for the log, and for `pv-xconnect learn`. */
export interface UseListener {
  /** False: `used` need not be called. */
  readonly isListening: boolean;
  used(use: Use): void;
  refused(use: Use): void;
}

export interface PolicyFilterOptions {
  readonly policy: Policy;
  /** False: what would be refused passes, and only the listener is told (audit mode, `learn`). */
  readonly enforce: boolean;
  readonly listener: UseListener;
}

const invalid = (message: string): Denial => ({
  use: null,
  answer: { error: INVALID_ARGS, message },
});
const SAME_SERIAL = invalid('Another call with this serial still waits for its answer.');

export class PolicyFilter implements MessageFilter {
  readonly #port: Port;
  readonly #names: NameTracker;
  readonly #enforce: boolean;
  readonly #listener: UseListener;
  readonly #replies = new Replies();
  readonly #subscriptions = new OwnerSubscriptions();

  constructor({ policy, enforce, listener }: PolicyFilterOptions, port: Port) {
    this.#port = port;
    this.#names = new NameTracker(policy, !enforce);
    this.#enforce = enforce;
    this.#listener = listener;
  }

  async started(): Promise<void> {
    const added = this.#ask('AddMatch', OWNER_CHANGES);
    const listed = this.#ask('ListNames');
    if ((await added).header.type === MessageType.error) {
      this.#port.end('The bus does not tell who owns its names.');
      return;
    }
    const names = (await listed).body?.strings() ?? [];
    const followed = names.filter((name) => !isUnique(name) && this.#names.isFollowed(name));
    await Promise.all(followed.map((name) => this.#askForOwner(name)));
    if (this.#port.uniqueName !== undefined) this.#names.setSelf(this.#port.uniqueName);
  }

  fromConsumer(message: Message): Verdict {
    const { header } = message;
    if (header.type === MessageType.call) return this.#call(message);
    if (isReply(header)) return this.#orDrop(this.#replies.settles(header));
    if (header.type !== MessageType.signal) return this.#orDrop(false);
    if (header.destination === undefined) return 'pass';
    if (header.destination === BUS) return this.#orDrop(false);
    return this.#send(header);
  }

  fromBus(message: Message): Verdict {
    const { header } = message;
    if (isReply(header)) return this.#answered(message);
    if (header.type === MessageType.call) {
      if (wantsReply(header)) this.#replies.owes(header);
      this.#names.calledBy(header.sender as string);
      return 'pass';
    }
    if (header.type !== MessageType.signal) return 'drop';
    if (isFromBus(header)) return this.#signalOfBus(message);
    if (header.destination !== undefined) {
      this.#names.met(header.sender as string);
      return 'pass';
    }
    return this.#broadcast(header);
  }

  answered({ header }: Message): void {
    this.#replies.forget(header.serial);
  }

  #call(message: Message): Verdict {
    const { header } = message;
    // The answer to one call could otherwise pass for that to another one.
    const isTaken = this.#enforce && this.#replies.isAwaited(header.serial);
    if (isTaken) return this.#refuse(header, SAME_SERIAL);
    const isForBus = header.destination === BUS || header.destination === undefined;
    if (!isForBus) {
      const verdict = this.#send(header);
      return verdict === 'pass' ? this.#awaiting(header, false) : verdict;
    }
    return this.#callBus(message);
  }

  #callBus(message: Message): Verdict {
    const { header } = message;
    const method = busMethod(header);
    // A bus might answer it all the same, and the answer would not be known as one that has to be filtered.
    if (method?.is === 'list' && !wantsReply(header)) return this.#orDrop(false);
    const arg = header.signature.startsWith('s') ? message.body?.string() : undefined;
    const denial = judgeBusCall(header, method, arg, this.#names);
    if (denial) {
      const isNamed = header.destination !== undefined;
      const verdict = this.#refuse(header, isNamed ? denial : noSuchMethod(header));
      if (verdict !== 'pass') return verdict;
    } else if (method?.is === 'about-name' && arg !== undefined && this.#isOfUse(arg)) {
      this.#listener.used(useOfName(header, arg, method.needs, this.#names));
    }
    if (method?.is === 'match' && arg !== undefined) {
      if (header.member === 'AddMatch') this.#subscriptions.add(arg);
      else this.#subscriptions.remove(arg);
    }
    return this.#awaiting(header, method?.is === 'list');
  }

  #send(header: Header): Verdict {
    if (isSignalToCaller(header, this.#names)) return 'pass';
    const denial = judgeSend(header, this.#names);
    if (denial) return this.#refuse(header, denial);
    if (this.#listener.isListening && !this.#names.isSelf(header.destination as string)) {
      this.#listener.used(useOfSend(header, this.#names));
    }
    return 'pass';
  }

  /** Whether the listener is to be told of a question about this name, because it took a right. */
  #isOfUse(name: string): boolean {
    if (!this.#listener.isListening || name === BUS) return false;
    return !isUnique(name) || this.#names.namesOf(name).size > 0;
  }

  #broadcast(header: Header): Verdict {
    if (header.sender === undefined || this.#names.isSelf(header.sender)) return 'pass';
    const denial = judgeBroadcast(header, this.#names);
    if (denial) return this.#refuse(header, denial);
    if (this.#listener.isListening) this.#listener.used(useOfBroadcast(header, this.#names));
    return 'pass';
  }

  #signalOfBus(message: Message): Verdict {
    const { header } = message;
    if (header.member !== OWNER_CHANGED || header.destination !== undefined) return 'pass';
    const change = readOwnerChange(message);
    if (!change) return 'drop';
    const { name, owner } = change;
    const isVisible = this.#names.towards(name).level >= Level.see;
    this.#names.changed(name, owner);
    return (isVisible || !this.#enforce) && this.#subscriptions.includes(name) ? 'pass' : 'drop';
  }

  #answered(message: Message): Verdict {
    const { header } = message;
    const asked = this.#replies.answered(header);
    if (!asked?.isList || !this.#enforce || header.type === MessageType.error) {
      return this.#orDrop(asked !== undefined);
    }
    const to = this.#port.answerTo({ serial: header.replySerial as number });
    const names = message.body?.strings();
    if (!names) return { replace: errorReply(to, LIMITS_EXCEEDED, 'There are too many names.') };
    const visible = names.filter(
      (name) => name === BUS || this.#names.towards(name).level >= Level.see,
    );
    return { replace: reply(to, [visible]) };
  }

  #refuse(header: Header, { use, answer }: Denial): Verdict {
    if (use) this.#listener.refused(use);
    if (!this.#enforce) return 'pass';
    if (!wantsReply(header)) return 'drop';
    const to = this.#port.answerTo(header);
    if ('values' in answer) return { answer: reply(to, answer.values) };
    return { answer: errorReply(to, answer.error, answer.message) };
  }

  /** Passes the call, and later its answer. */
  #awaiting(header: Header, isList: boolean): Verdict {
    if (!wantsReply(header)) return 'pass';
    if (this.#replies.isFull) {
      const text = 'Too many calls wait for an answer.';
      return { answer: errorReply(this.#port.answerTo(header), LIMITS_EXCEEDED, text) };
    }
    this.#replies.asks(header, isList);
    return 'pass';
  }

  #orDrop(passes: boolean): Verdict {
    return passes || !this.#enforce ? 'pass' : 'drop';
  }

  #ask(member: string, ...values: string[]): Promise<Message> {
    return new Promise((resolve) => this.#port.ask(member, values, resolve));
  }

  #askForOwner(name: string): Promise<void> {
    return new Promise((resolve) => {
      // Within the callback: a change that comes behind the answer must be applied after it.
      this.#port.ask('GetNameOwner', [name], ({ header, body }) => {
        const owner = header.type === MessageType.reply ? body?.string() : undefined;
        if (owner !== undefined) this.#names.changed(name, owner);
        resolve();
      });
    });
  }
}

/**
 * Which changes of owners the consumer itself has asked the bus for. The policy filter asks for all of them, on the
 * consumer's connection. What a change costs does not depend on how many rules the consumer has.
 */
export class OwnerSubscriptions {
  /** The consumer's match rules that ask for owners, by their text, with how often each was added. */
  readonly #rules = new Map<string, { readonly wanted: OwnersWanted; count: number }>();
  readonly #names = new ReferenceCounts();
  readonly #namespaces = new ReferenceCounts();
  #all = 0;
  #isFull = false;

  /** AddMatch with that rule. */
  add(text: string): void {
    const known = this.#rules.get(text);
    if (known) {
      known.count++;
      return;
    }
    const rule = parseMatchRule(text);
    const wanted = rule && ownersAskedFor(rule);
    if (!wanted) return;
    if (this.#rules.size >= MAX_SUBSCRIPTIONS) {
      this.#isFull = true;
      return;
    }
    this.#rules.set(text, { wanted, count: 1 });
    this.#count(wanted, 1);
  }

  /** RemoveMatch: a rule that was added twice is there until it is removed twice. */
  remove(text: string): void {
    const known = this.#rules.get(text);
    if (!known || --known.count > 0) return;
    this.#rules.delete(text);
    this.#count(known.wanted, -1);
  }

  /** Whether the consumer is to be told that this name's owner changed. */
  includes(name: string): boolean {
    if (this.#isFull || this.#all > 0 || this.#names.has(name)) return true;
    if (this.#namespaces.isEmpty) return false;
    for (let end = name.length; end > 0; end = name.lastIndexOf('.', end - 1)) {
      if (this.#namespaces.has(name.slice(0, end))) return true;
    }
    return false;
  }

  #count({ name, namespace }: OwnersWanted, change: 1 | -1): void {
    if (name !== undefined) this.#names.add(name, change);
    else if (namespace !== undefined) this.#namespaces.add(namespace, change);
    else this.#all += change;
  }
}

class ReferenceCounts {
  readonly #counts = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  has(key: string): boolean {
    return this.#counts.has(key);
  }

  add(key: string, change: number): void {
    const count = (this.#counts.get(key) ?? 0) + change;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}
