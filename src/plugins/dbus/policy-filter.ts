/**
 * Holds a consumer to its policy, message by message; see policy.ts for what that is, judge.ts for what it means.
 *
 * Nothing of the consumer passes behind its Hello before it is known who owns the names that it may see: one round
 * of questions to the bus, on the consumer's own connection, where all later news of them arrive in step with its
 * messages.
 */
import type { Use } from '../../graph/use.js';
import { busMethod, INVALID_ARGS, LIMITS_EXCEEDED } from './bus-methods.js';
import type { MessageFilter, Port, Verdict } from './filter.js';
import { type Header, MessageType, wantsReply } from './header.js';
import {
  isSignalToCaller,
  judgeBroadcast,
  judgeBusCall,
  judgeSend,
  noSuchMethod,
  type Refusal,
} from './judge.js';
import type { Message } from './message.js';
import { BUS, errorReply, reply } from './message-writer.js';
import { NameTracker } from './name-tracker.js';
import { isUnique } from './names.js';
import { OWNER_CHANGED, OWNER_CHANGES, readOwnerChange } from './owner-change.js';
import { Level, type Policy } from './policy.js';
import { isFromBus } from './questions.js';
import { isReply, Replies } from './replies.js';
import { useOfBroadcast, useOfName, useOfSend } from './use.js';
import { Wishes } from './wishes.js';

/** Who hears of what was done. */
export interface Witness {
  /** False: `used` need not be called. */
  readonly isWatching: boolean;
  used(use: Use): void;
  refused(use: Use): void;
}

export interface PolicyFilterOptions {
  readonly policy: Policy;
  /** False: what would be refused passes, and the witness alone knows. */
  readonly enforce: boolean;
  readonly witness: Witness;
}

const invalid = (message: string): Refusal => ({
  use: null,
  answer: { error: INVALID_ARGS, message },
});
const SAME_SERIAL = invalid('Another call with this serial still waits for its answer.');

export class PolicyFilter implements MessageFilter {
  readonly #port: Port;
  readonly #names: NameTracker;
  readonly #enforce: boolean;
  readonly #witness: Witness;
  readonly #replies = new Replies();
  readonly #wishes = new Wishes();

  constructor({ policy, enforce, witness }: PolicyFilterOptions, port: Port) {
    this.#port = port;
    this.#names = new NameTracker(policy, !enforce);
    this.#enforce = enforce;
    this.#witness = witness;
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
    // Else what answers the one might pass as what answers the other.
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
    // A bus may answer it all the same, and nobody would take out what may not be seen.
    if (method?.is === 'list' && !wantsReply(header)) return this.#orDrop(false);
    const arg = header.signature.startsWith('s') ? message.body?.string() : undefined;
    const refusal = judgeBusCall(header, method, arg, this.#names);
    if (refusal) {
      const isNamed = header.destination !== undefined;
      const verdict = this.#refuse(header, isNamed ? refusal : noSuchMethod(header));
      if (verdict !== 'pass') return verdict;
    } else if (method?.is === 'about-name' && arg !== undefined && this.#isOfUse(arg)) {
      this.#witness.used(useOfName(header, arg, method.needs, this.#names));
    }
    if (method?.is === 'match' && arg !== undefined) {
      if (header.member === 'AddMatch') this.#wishes.added(arg);
      else this.#wishes.removed(arg);
    }
    return this.#awaiting(header, method?.is === 'list');
  }

  #send(header: Header): Verdict {
    if (isSignalToCaller(header, this.#names)) return 'pass';
    const refusal = judgeSend(header, this.#names);
    if (refusal) return this.#refuse(header, refusal);
    if (this.#witness.isWatching && !this.#names.isSelf(header.destination as string)) {
      this.#witness.used(useOfSend(header, this.#names));
    }
    return 'pass';
  }

  /** Whether somebody wants to know of a question about this name, which took a right. */
  #isOfUse(name: string): boolean {
    if (!this.#witness.isWatching || name === BUS) return false;
    return !isUnique(name) || this.#names.namesOf(name).size > 0;
  }

  #broadcast(header: Header): Verdict {
    if (header.sender === undefined || this.#names.isSelf(header.sender)) return 'pass';
    const refusal = judgeBroadcast(header, this.#names);
    if (refusal) return this.#refuse(header, refusal);
    if (this.#witness.isWatching) this.#witness.used(useOfBroadcast(header, this.#names));
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
    return (isVisible || !this.#enforce) && this.#wishes.wantsOwnerOf(name) ? 'pass' : 'drop';
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

  #refuse(header: Header, { use, answer }: Refusal): Verdict {
    if (use) this.#witness.refused(use);
    if (!this.#enforce) return 'pass';
    if (!wantsReply(header)) return 'drop';
    const to = this.#port.answerTo(header);
    if ('values' in answer) return { answer: reply(to, answer.values) };
    return { answer: errorReply(to, answer.error, answer.message) };
  }

  /** It passes, and its answer may too. */
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
      // Not in a later turn: news that come behind the answer must not be overtaken by it.
      this.#port.ask('GetNameOwner', [name], ({ header, body }) => {
        const owner = header.type === MessageType.reply ? body?.string() : undefined;
        if (owner !== undefined) this.#names.changed(name, owner);
        resolve();
      });
    });
  }
}
