/**
 * Calls to names that nobody owns yet: held while their owner is started, and everything else goes on.
 *
 * Of each name that may be started and is called, the bus is asked whether it has an owner, and told to say when that
 * changes; from then on a call costs a look into a table. Calls to a name wait in their order, so that none overtakes
 * another to the same receiver. What waits for somebody to be started is bounded, far below what would keep the session
 * from reading; what waits for the bus's answer is bounded by that, for the answer comes at once.
 *
 * The bus knows of none of these names that they may be started: in its answer to ListActivatableNames they are added.
 */
import type { Activation, OnDemand } from '../on-demand.js';
import { LIMITS_EXCEEDED } from './bus-methods.js';
import type { FilterFactory, MessageFilter, Port, Verdict } from './filter.js';
import { Flag, type Header, MessageType, wantsReply } from './header.js';
import type { Message } from './message.js';
import { BUS, errorReply, reply } from './message-writer.js';
import { isBusName, isUnique } from './names.js';
import { OWNER_CHANGED, ownerChangesOf, readOwnerChange } from './owner-change.js';
import { isFromBus } from './questions.js';

/** For a name to have an owner once somebody was asked to start it, in milliseconds. */
const PATIENCE_MS = 20_000;
/** Of one connection. */
const MAX_NAMES = 128;
const MAX_HELD = 64;
const MAX_HELD_BYTES = 512 * 1024;
const MAX_LISTS = 64;

const LIST = 'ListActivatableNames';
const START = 'StartServiceByName';
/** What it answers (D-Bus specification, "Message Bus Messages"). */
const STARTED = 1;
const RUNS_ALREADY = 2;

const TIMED_OUT = 'org.freedesktop.DBus.Error.TimedOut';
const NOT_STARTED = 'org.freedesktop.DBus.Error.Spawn.Failed';

interface Name {
  readonly name: string;
  /** `asking`: not known yet. `starting`: nobody owns it, and somebody was asked to start its owner. */
  state: 'asking' | 'owned' | 'away' | 'starting';
  held: Message[];
  timer: NodeJS.Timeout | undefined;
}

export interface ActivationOptions {
  readonly patienceMs?: number;
  /**
   * False: another filter decides which changes of owners the consumer hears of, and has to hear of all. It also
   * decides which names may be listed, and none is added.
   */
  readonly isAlone?: boolean;
}

export function activation(onDemand: OnDemand, options: ActivationOptions = {}): FilterFactory {
  return (port) => new ActivationFilter(onDemand, port, options);
}

/** Whether a link with these names has to have its messages looked at. */
export function mayActivate(names: readonly string[] | undefined): boolean {
  return names === undefined || names.length > 0;
}

class ActivationFilter implements MessageFilter {
  readonly #onDemand: OnDemand;
  readonly #port: Port;
  readonly #patienceMs: number;
  readonly #names = new Map<string, Name>();
  /** Serials of the consumer's questions for all names that may be started. */
  readonly #lists = new Set<number>();
  readonly #isAlone: boolean;
  #count = 0;
  #bytes = 0;
  /** The consumer has asked for signals: one that says who owns a name may be one of them. */
  #listens: boolean;

  constructor(onDemand: OnDemand, port: Port, options: ActivationOptions) {
    this.#onDemand = onDemand;
    this.#port = port;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#isAlone = options.isAlone !== false;
    this.#listens = !this.#isAlone;
  }

  fromConsumer(message: Message): Verdict {
    const { header } = message;
    if (header.destination === BUS && header.member === 'AddMatch') this.#listens = true;
    if (this.#isAlone && isList(header) && this.#lists.size < MAX_LISTS) {
      this.#lists.add(header.serial);
    }
    const called = nameCalledBy(message);
    if (called === undefined || !this.#mayStart(called)) return 'pass';
    const name = this.#names.get(called) ?? this.#watch(called);
    if (name?.state === 'owned' && isStart(header)) return this.#startReply(header, RUNS_ALREADY);
    if (!name || name.state === 'owned') return 'pass';
    if (!message.isWhole) return name.state === 'asking' ? 'pass' : 'hold'; // the session refuses it
    const isFull = this.#count >= MAX_HELD || this.#bytes + message.length > MAX_HELD_BYTES;
    if (isFull && name.state !== 'asking') {
      return wantsReply(header) ? { answer: this.#tooMany(header, called) } : 'drop';
    }
    name.held.push(message);
    this.#count++;
    this.#bytes += message.length;
    if (name.state === 'away') this.#start(name);
    return 'hold';
  }

  fromBus(message: Message): Verdict {
    const { header } = message;
    if (header.replySerial !== undefined) return this.#answered(message, header.replySerial);
    if (header.member !== OWNER_CHANGED || header.type !== MessageType.signal) return 'pass';
    if (!isFromBus(header)) return 'pass';
    const change = readOwnerChange(message);
    const name = change && this.#names.get(change.name);
    if (!name) return 'pass';
    if (change.owner === '') this.#lost(name);
    else this.#owned(name);
    return this.#listens ? 'pass' : 'drop';
  }

  ended(): void {
    for (const name of this.#names.values()) {
      if (name.state === 'starting') this.#onDemand.done(name.name);
      clearTimeout(name.timer);
      name.held = [];
    }
    this.#names.clear();
  }

  #answered(message: Message, serial: number): Verdict {
    if (!isFromBus(message.header) || !this.#lists.delete(serial)) return 'pass';
    const known = message.header.type === MessageType.reply ? message.body?.strings() : undefined;
    if (!known) return 'pass';
    const all = new Set([...known, ...(this.#onDemand.names() ?? [])]);
    return { replace: reply(this.#port.answerTo({ serial }), [[...all]]) };
  }

  #mayStart(name: string): boolean {
    return this.#onDemand.names()?.includes(name) ?? true;
  }

  /** Undefined: there are too many already, and of each something waits. */
  #watch(called: string): Name | undefined {
    if (this.#names.size >= MAX_NAMES && !this.#forgetOne()) return undefined;
    const name: Name = { name: called, state: 'asking', held: [], timer: undefined };
    this.#names.set(called, name);
    this.#port.ask('AddMatch', [ownerChangesOf(called)], (answer) => {
      if (answer.header.type === MessageType.error) this.#owned(name); // we could not know
    });
    this.#port.ask('NameHasOwner', [called], ({ header, body }) => {
      if (header.type === MessageType.reply && body?.uint32() === 0) this.#unowned(name);
      else this.#owned(name);
    });
    return name;
  }

  #forgetOne(): boolean {
    for (const [key, { state }] of this.#names) {
      if (state !== 'owned' && state !== 'away') continue;
      this.#names.delete(key);
      this.#port.ask('RemoveMatch', [ownerChangesOf(key)], () => undefined);
      return true;
    }
    return false;
  }

  #owned(name: Name): void {
    const outcome = name.state === 'starting' ? STARTED : RUNS_ALREADY;
    if (name.state === 'starting') this.#onDemand.done(name.name);
    name.state = 'owned';
    for (const message of this.#takeHeld(name)) {
      const verdict = isStart(message.header) && this.#startReply(message.header, outcome);
      if (typeof verdict === 'object' && 'answer' in verdict) {
        this.#port.answer(message, verdict.answer);
      } else {
        this.#port.release(message);
      }
    }
  }

  #unowned(name: Name): void {
    if (name.state !== 'asking') return;
    name.state = 'away';
    this.#refuseExcess(name);
    if (name.held.length > 0) this.#start(name);
  }

  /** While the bus was asked, more were held than may wait for somebody to be started. */
  #refuseExcess(name: Name): void {
    const excess: Message[] = [];
    while (name.held.length > 0 && (this.#count > MAX_HELD || this.#bytes > MAX_HELD_BYTES)) {
      const last = name.held.pop() as Message;
      this.#count--;
      this.#bytes -= last.length;
      excess.unshift(last);
    }
    for (const call of excess) this.#refuse(call, this.#tooMany(call.header, name.name));
  }

  /** Its owner left; what is being started goes on being started. */
  #lost(name: Name): void {
    if (name.state === 'owned') name.state = 'away';
  }

  #start(name: Name): void {
    name.state = 'starting';
    const timer = setTimeout(() => {
      const seconds = this.#patienceMs / 1000;
      const text = `Nobody owns ${name.name} ${seconds} s after its owner was asked for: its log may say why.`;
      this.#fail(name, TIMED_OUT, text);
    }, this.#patienceMs);
    name.timer = timer;
    void this.#onDemand.activate(name.name).then((activated) => {
      if (name.timer === timer && name.state === 'starting') this.#asked(name, activated);
    });
  }

  #asked(name: Name, activated: Activation): void {
    if (activated.outcome === 'refused') this.#fail(name, NOT_STARTED, activated.why);
    if (activated.outcome !== 'unknown') return;
    name.state = 'away';
    this.#release(name); // the bus says that there is no such service
  }

  #fail(name: Name, error: string, text: string): void {
    this.#onDemand.done(name.name);
    name.state = 'away';
    for (const message of this.#takeHeld(name)) {
      this.#refuse(message, this.#error(message.header, error, text));
    }
  }

  #refuse(message: Message, answer: Buffer): void {
    if (wantsReply(message.header)) this.#port.answer(message, answer);
    else this.#port.release(message); // the bus drops it, and is silent about it
  }

  #tooMany(call: Header, name: string): Buffer {
    const text = `Too many calls wait for ${name} and others to be started.`;
    return this.#error(call, LIMITS_EXCEEDED, text);
  }

  #release(name: Name): void {
    for (const message of this.#takeHeld(name)) this.#port.release(message);
  }

  /** The bus itself would say that it can't start what it has no file for, whether or not that runs. */
  #startReply(call: Header, outcome: number): Verdict {
    if (!wantsReply(call)) return 'drop';
    return { answer: reply(this.#port.answerTo(call), [outcome]) };
  }

  #takeHeld(name: Name): Message[] {
    const { held } = name;
    clearTimeout(name.timer);
    name.timer = undefined;
    name.held = [];
    this.#count -= held.length;
    for (const message of held) this.#bytes -= message.length;
    return held;
  }

  #error(call: Header, name: string, text: string): Buffer {
    return errorReply(this.#port.answerTo(call), name, text);
  }
}

/** The well-known name that a call is for, where the bus may start its owner for it. */
function nameCalledBy(message: Message): string | undefined {
  const { type, flags, destination, member } = message.header;
  if (type !== MessageType.call || destination === undefined || isUnique(destination)) {
    return undefined;
  }
  if (destination !== BUS) return flags & Flag.noAutoStart ? undefined : destination;
  if (member !== START) return undefined;
  const name = message.body?.string();
  return name !== undefined && isBusName(name) && !isUnique(name) ? name : undefined;
}

function isList(header: Header): boolean {
  return wantsReply(header) && header.destination === BUS && header.member === LIST;
}

function isStart({ destination, member }: Header): boolean {
  return destination === BUS && member === START;
}
