/**
 * A connection whose messages go through filters one by one, from the Hello on.
 *
 * A side is not read while bytes for the other side wait for room, so a slow reader costs us one read of its peer. The
 * consumer is not read either while our own answers to it wait, or while too many of its messages are held.
 *
 *     open ──a side sends no more, or breaks the protocol──▸ ending ──the other side does too, or 5 s──▸ over
 *
 * `#why` is set in `ending`, `#ended` in `over`. All that a side sent before its end reaches the other side before that
 * is told of the end; messages that are held are waited for. A side that breaks the protocol is told at once that no
 * more comes.
 */
import { closeAll } from '../../kernel/descriptors.js';
import type { Channel, Described, Tally } from '../plugin.js';
import { LIMITS_EXCEEDED } from './bus-methods.js';
import type { FilterFactory, MessageFilter, Port, Verdict } from './filter.js';
import { type Header, MessageType, wantsReply } from './header.js';
import type { Message } from './message.js';
import { type Addressed, errorReply } from './message-writer.js';
import { isFromBus, isHello, Questions } from './questions.js';
import { Side } from './side.js';
import type { WorkBudget } from './work-budget.js';

export interface SessionParts {
  readonly consumer: Channel;
  readonly bus: Channel;
  /** Both sides agreed to send descriptors. */
  readonly fds: boolean;
  readonly filters: readonly FilterFactory[];
  readonly tally: Tally;
  /** Shared by all connections of the link: descriptors that they keep, and the messages of one turn. */
  readonly budget: { fds: number };
  readonly work: WorkBudget;
  /** Called when the bus has answered Hello. */
  readonly onRegistered?: () => void;
  /** Called once. `fault`: what was wrong, in one sentence. `thrown`: a bug of ours. */
  readonly onEnd: (reason: string, fault?: string, thrown?: unknown) => void;
}

/** Bytes of the longest message that is put together: only bodies to and from the bus itself have to be read. */
const LONGEST = { consumer: 64 * 1024, bus: 1024 * 1024 };
/** With more held messages, or bytes of them, the consumer is not read. */
const MAX_HELD = 1024;
const MAX_HELD_BYTES = 1024 * 1024;
/** Descriptors of one link that may wait in our table. */
const MAX_FDS = 512;
const MAX_SERIAL = 0xffff_ffff;
/** From the end of one side to that of the connection, in milliseconds. */
const LINGER_MS = 5_000;

export class MessageSession {
  readonly #parts: SessionParts;
  readonly #consumer: Side;
  readonly #bus: Side;
  readonly #filters: readonly MessageFilter[];
  readonly #questions = new Questions();
  readonly #held = new HeldMessages();
  #hello: number | null = null;
  #uniqueName: string | undefined;
  /** The serial of our last answer in place of the bus. Answers are not answered, so theirs need not be unique. */
  #answers = 0;
  /** This connection's part of `budget.fds`. */
  #budgeted = 0;
  /** Why it ends, by the side that ended first. */
  #why: { readonly reason: string; readonly fault?: string } | null = null;
  #linger: NodeJS.Timeout | null = null;
  #ended = false;
  /** That has passed, in bytes. */
  #toProvider = 0;
  #toConsumer = 0;
  #reason: string | undefined;

  /** Takes both channels, authenticated and paused. */
  constructor(parts: SessionParts) {
    const { consumer, bus, fds, work } = parts;
    this.#parts = parts;
    this.#consumer = new Side(consumer, { longest: LONGEST.consumer, fds, work }, this, {
      onMessage: (message) => this.#fromConsumer(message),
      onMore: (chunk, start, end) => this.#bus.output.more(chunk, start, end),
    });
    this.#bus = new Side(bus, { longest: LONGEST.bus, fds, work }, this, {
      onMessage: (message) => this.#fromBus(message),
      onMore: (chunk, start, end) => this.#consumer.output.more(chunk, start, end),
    });
    this.#filters = parts.filters.map((make, place) => make(this.#port(place)));
    this.#settle();
  }

  /** For who wants to see the connection. */
  get described(): Described {
    return {
      toProvider: this.#toProvider,
      toConsumer: this.#toConsumer,
      ...(this.#uniqueName === undefined ? {} : { unique_name: this.#uniqueName }),
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    };
  }

  onRead(side: Side, bytes: number, fault: string | null): void {
    if (this.#ended) return;
    const { tally } = this.#parts;
    if (side === this.#consumer) {
      tally.toProvider += bytes;
      this.#toProvider += bytes;
    } else {
      tally.toConsumer += bytes;
      this.#toConsumer += bytes;
    }
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
        this.#bus.output.send(this.#questions.ask(member, values, onAnswer));
        queueMicrotask(() => this.#settle()); // it may be called outside of a read, which settles
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
        this.#consumer.output.send(answer);
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

  /** Nothing more is read of that side. */
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

  /** Returns whether the rest of the message is wanted, if it is not whole. */
  #apply(verdict: Verdict, message: Message, towards: Side): boolean {
    if (this.#ended) {
      closeAll(message.fds);
      return false;
    }
    if (verdict === 'pass') {
      const { chunk, start, end, fds, rest } = message;
      towards.output.pass(chunk, start, end, fds, rest);
      return true;
    }
    closeAll(message.fds);
    if (typeof verdict === 'string') return false;
    const back = towards === this.#bus ? this.#consumer : this.#bus;
    if ('answer' in verdict) back.output.send(verdict.answer);
    else towards.output.send(verdict.replace);
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

  /** Remembers the consumer's unique name from the answer to Hello. */
  #noteName({ header, body }: Message): void {
    if (this.#uniqueName !== undefined || header.replySerial !== this.#hello) return;
    if (header.type !== MessageType.reply || !isFromBus(header)) return;
    this.#uniqueName = body?.string();
    this.#parts.onRegistered?.();
  }

  /** Sends what was gathered, and decides which side is read. Called after anything has happened. */
  #settle(): void {
    if (this.#ended) return;
    this.#consumer.output.flush();
    this.#bus.output.flush();
    const [consumer, bus] = [this.#consumer.channel.idle, this.#bus.channel.idle];
    const isFull = this.#held.count > MAX_HELD || this.#held.bytes > MAX_HELD_BYTES;
    this.#consumer.read(consumer && bus && !isFull && !this.#consumer.output.isWaiting);
    this.#bus.read(consumer);
    if (!consumer) this.#consumer.onRoom(() => this.#settle());
    if (!bus) this.#bus.onRoom(() => this.#settle());
    this.#count();
    if (this.#why) this.#goOn(this.#why);
  }

  /** Takes the next step towards the end, if it can be taken. */
  #goOn({ reason, fault }: { readonly reason: string; readonly fault?: string }): void {
    const [consumer, bus] = [this.#consumer, this.#bus];
    if (this.#ended) return;
    if (bus.isOver || fault !== undefined) consumer.finish();
    if (this.#held.count > 0 && !bus.isOver) return; // each will be released or answered
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
    this.#reason = reason;
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

/** Messages that filters hold, each with the index of its filter. */
class HeldMessages {
  readonly #holders = new Map<Message, number>();
  #bytes = 0;
  #fds = 0;

  get count(): number {
    return this.#holders.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get fds(): number {
    return this.#fds;
  }

  add(message: Message, filter: number): void {
    message.keep();
    this.#holders.set(message, filter);
    this.#bytes += message.length;
    this.#fds += message.fds.length;
  }

  /** Gives the message to the caller. Undefined: it is not held. Else which filter held it. */
  take(message: Message): number | undefined {
    const filter = this.#holders.get(message);
    if (filter === undefined) return undefined;
    this.#holders.delete(message);
    this.#bytes -= message.length;
    this.#fds -= message.fds.length;
    return filter;
  }

  clear(): void {
    for (const message of [...this.#holders.keys()]) {
      this.take(message);
      closeAll(message.fds);
    }
  }
}
