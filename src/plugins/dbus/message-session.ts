/**
 * A connection whose messages are looked at one by one, from the Hello on: two sides, a row of filters between
 * them, and bounds.
 *
 * No side is read while what goes to the other one waits for room, so a slow reader costs one read of its peer. The
 * consumer is not read either while its answers wait, or while too much of its own is held.
 *
 *     open ──a side sends no more, or breaks the protocol──> ending ──the other does too, or 5 s──> over
 *
 * What a side sent before its end has reached the other one before it hears of that end; what is held is waited for.
 * Whoever breaks the protocol is told at once that no more comes.
 */
import { closeAll } from '../../kernel/descriptors.js';
import type { Channel, Tally } from '../plugin.js';
import { LIMITS_EXCEEDED } from './bus-methods.js';
import type { FilterFactory, MessageFilter, Port, Verdict } from './filter.js';
import { type Header, MessageType, wantsReply } from './header.js';
import { Held } from './held.js';
import type { Message } from './message.js';
import { type Addressed, errorReply } from './message-writer.js';
import { isFromBus, isHello, Questions } from './questions.js';
import type { Share } from './share.js';
import { Side } from './side.js';

export interface SessionParts {
  readonly consumer: Channel;
  readonly bus: Channel;
  /** Whether both sides agreed to send descriptors. */
  readonly fds: boolean;
  readonly filters: readonly FilterFactory[];
  readonly tally: Tally;
  /** Of the link: what all its connections keep, and what is looked at of them in one turn. */
  readonly budget: { fds: number };
  readonly share: Share;
  /** Called once the bus has answered its Hello, should it do so. */
  readonly onRegistered?: () => void;
  /** Called once. `fault`: what was wrong, in one sentence. `thrown`: by a bug of ours. */
  readonly onEnd: (reason: string, fault?: string, thrown?: unknown) => void;
}

/** The longest message that is put together, in bytes: a body is read of what speaks to the bus itself alone. */
const LONGEST = { consumer: 64 * 1024, bus: 1024 * 1024 };
/** Held messages and their bytes, after which the consumer is not read. */
const MAX_HELD = 1024;
const MAX_HELD_BYTES = 1024 * 1024;
/** Descriptors in our table that wait for something, of one link. */
const MAX_FDS = 512;
const MAX_SERIAL = 0xffff_ffff;
/** For the other side to finish once one of them has, in milliseconds. */
const LINGER_MS = 5_000;

export class MessageSession {
  readonly #parts: SessionParts;
  readonly #consumer: Side;
  readonly #bus: Side;
  readonly #filters: readonly MessageFilter[];
  readonly #questions = new Questions();
  readonly #held = new Held();
  #hello: number | null = null;
  #uniqueName: string | undefined;
  /** Serials of what the consumer is told in place of the bus; nobody answers those. */
  #answers = 0;
  #budgeted = 0;
  /** Of the end, from the first side that had one. */
  #why: { readonly reason: string; readonly fault?: string } | null = null;
  #linger: NodeJS.Timeout | null = null;
  #ended = false;

  /** Takes both channels, authenticated and paused. */
  constructor(parts: SessionParts) {
    const { consumer, bus, fds, share } = parts;
    this.#parts = parts;
    this.#consumer = new Side(consumer, { longest: LONGEST.consumer, fds, share }, this, {
      onMessage: (message) => this.#fromConsumer(message),
      onMore: (chunk, start, end) => this.#bus.outlet.more(chunk, start, end),
    });
    this.#bus = new Side(bus, { longest: LONGEST.bus, fds, share }, this, {
      onMessage: (message) => this.#fromBus(message),
      onMore: (chunk, start, end) => this.#consumer.outlet.more(chunk, start, end),
    });
    this.#filters = parts.filters.map((make, place) => make(this.#port(place)));
    this.#settle();
  }

  onRead(side: Side, bytes: number, fault: string | null): void {
    if (this.#ended) return;
    const { tally } = this.#parts;
    if (side === this.#consumer) tally.toProvider += bytes;
    else tally.toConsumer += bytes;
    if (fault !== null) this.#broke(side, fault);
    this.#settle();
  }

  onEnd(_side: Side, broken: boolean): void {
    this.#why ??= { reason: broken ? 'reset' : 'eof' };
    this.#settle();
  }

  onClosed(): void {
    this.#end('detached');
  }

  /** `why`: one sentence. */
  abort(why: string): void {
    this.#end('refused', why);
  }

  onBug(thrown: unknown): void {
    this.#end('error', 'This is a bug.', thrown);
  }

  #port(place: number): Port {
    const session = this;
    return {
      get uniqueName() {
        return session.#uniqueName;
      },
      answerTo: (call) => this.#answerTo(call),
      ask: (member, values, onAnswer) => {
        if (this.#ended) return;
        this.#bus.outlet.send(this.#questions.ask(member, values, onAnswer));
        queueMicrotask(() => this.#settle()); // where nobody else does
      },
      release: (message) => {
        if (this.#held.take(message) === undefined) return;
        this.#judge(message, place + 1);
        this.#settle();
      },
      answer: (message, answer) => {
        if (this.#held.take(message) === undefined) return;
        this.#tellAnswered(message, place);
        closeAll(message.fds);
        this.#consumer.outlet.send(answer);
        this.#settle();
      },
      end: (reason) => this.#end('error', reason),
    };
  }

  #answerTo({ serial }: Pick<Header, 'serial'>): Addressed {
    this.#answers = (this.#answers % MAX_SERIAL) + 1;
    const addressed = { serial: this.#answers, replySerial: serial };
    if (this.#uniqueName === undefined) return addressed;
    return { ...addressed, destination: this.#uniqueName };
  }

  #fromConsumer(message: Message): boolean {
    const { header } = message;
    this.#questions.heard(header.serial);
    if (this.#hello === null) return this.#start(message);
    return this.#judge(message, 0);
  }

  #start(message: Message): boolean {
    if (!isHello(message.header)) return this.#refuse(message, 'The first message was no Hello.');
    this.#hello = message.header.serial;
    const isWanted = this.#judge(message, 0);
    const starting = this.#filters.flatMap((filter) => filter.started?.() ?? []);
    if (starting.length === 0) return isWanted;
    this.#consumer.stop();
    Promise.all(starting).then(
      () => this.#consumer.go(),
      (thrown: unknown) => this.onBug(thrown),
    );
    return isWanted;
  }

  #refuse(message: Message, fault: string): false {
    closeAll(message.fds);
    this.#broke(this.#consumer, fault);
    return false;
  }

  /** Nothing of it can be trusted any more. */
  #broke(side: Side, what: string): void {
    const fault = `The ${side === this.#bus ? 'bus' : 'consumer'} broke the protocol: ${what}`;
    this.#why ??= { reason: 'malformed', fault };
    side.giveUp();
  }

  #judge(message: Message, first: number): boolean {
    for (let place = first; place < this.#filters.length; place++) {
      const verdict = (this.#filters[place] as MessageFilter).fromConsumer(message);
      if (verdict === 'hold' && this.#mayHold(message)) {
        this.#held.add(message, place);
        return false;
      }
      if (verdict === 'pass') continue;
      const last = verdict === 'hold' ? this.#tooLong(message.header) : verdict;
      if (typeof last === 'object' && 'answer' in last) this.#tellAnswered(message, place);
      return this.#apply(last, message, this.#bus);
    }
    return this.#apply('pass', message, this.#bus);
  }

  #tellAnswered(call: Message, place: number): void {
    for (const filter of this.#filters.slice(0, place)) filter.answered?.(call);
  }

  #fromBus(message: Message): boolean {
    if (this.#questions.take(message)) {
      closeAll(message.fds);
      return false;
    }
    this.#noteName(message);
    for (let place = this.#filters.length - 1; place >= 0; place--) {
      const verdict = (this.#filters[place] as MessageFilter).fromBus(message);
      if (verdict !== 'pass') return this.#apply(verdict, message, this.#consumer);
    }
    return this.#apply('pass', message, this.#consumer);
  }

  /** Whether the rest of the message, if there is more to come, is wanted. */
  #apply(verdict: Verdict, message: Message, towards: Side): boolean {
    if (this.#ended) {
      closeAll(message.fds);
      return false;
    }
    if (verdict === 'pass') {
      const { chunk, start, end, fds, rest } = message;
      towards.outlet.pass(chunk, start, end, fds, rest);
      return true;
    }
    closeAll(message.fds);
    if (typeof verdict === 'string') return false;
    const back = towards === this.#bus ? this.#consumer : this.#bus;
    if ('answer' in verdict) back.outlet.send(verdict.answer);
    else towards.outlet.send(verdict.replace);
    return false;
  }

  #mayHold(message: Message): boolean {
    return message.isWhole && !this.#ended;
  }

  #tooLong(header: Header): Verdict {
    if (!wantsReply(header)) return 'drop';
    const text = 'The message is too long to wait for its receiver.';
    return { answer: errorReply(this.#answerTo(header), LIMITS_EXCEEDED, text) };
  }

  /** From the answer to Hello. */
  #noteName({ header, body }: Message): void {
    if (this.#uniqueName !== undefined || header.replySerial !== this.#hello) return;
    if (header.type !== MessageType.reply || !isFromBus(header)) return;
    this.#uniqueName = body?.string();
    this.#parts.onRegistered?.();
  }

  /** Sends what waits together, and decides who is read. */
  #settle(): void {
    if (this.#ended) return;
    this.#consumer.outlet.flush();
    this.#bus.outlet.flush();
    const [consumer, bus] = [this.#consumer.channel.idle, this.#bus.channel.idle];
    const isFull = this.#held.count > MAX_HELD || this.#held.bytes > MAX_HELD_BYTES;
    this.#consumer.read(consumer && bus && !isFull && !this.#consumer.outlet.isWaiting);
    this.#bus.read(consumer);
    if (!consumer) this.#consumer.onRoom(() => this.#settle());
    if (!bus) this.#bus.onRoom(() => this.#settle());
    this.#count();
    if (this.#why) this.#goOn(this.#why);
  }

  /** Ends it, step by step. */
  #goOn({ reason, fault }: { readonly reason: string; readonly fault?: string }): void {
    const [consumer, bus] = [this.#consumer, this.#bus];
    if (this.#ended) return;
    if (bus.isOver || fault !== undefined) consumer.finish();
    if (this.#held.count > 0 && !bus.isOver) return; // to be released, or answered
    if (consumer.isOver) bus.finish();
    if (bus.isOver && consumer.isOver && bus.channel.idle && consumer.channel.idle) {
      this.#end(reason, fault);
    } else {
      this.#linger ??= setTimeout(() => this.#end(reason, fault), LINGER_MS);
    }
  }

  #count(): void {
    const { budget } = this.#parts;
    const held = this.#ended ? 0 : this.#held.fds + this.#consumer.fds + this.#bus.fds;
    budget.fds += held - this.#budgeted;
    this.#budgeted = held;
    if (held > 0 && budget.fds > MAX_FDS) this.#end('error', 'Too many descriptors wait.');
  }

  #end(reason: string, fault?: string, thrown?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#linger) clearTimeout(this.#linger);
    this.#held.clear();
    this.#questions.clear();
    this.#consumer.close();
    this.#bus.close();
    this.#count();
    for (const filter of this.#filters) filter.ended?.();
    this.#parts.onEnd(reason, fault, thrown);
  }
}
