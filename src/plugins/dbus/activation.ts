/**
 * Activation: calls to a name that nobody owns are held while its owner is started. All other messages go on.
 *
 * When a name that may be started is called for the first time, the bus is asked whether it has an owner, and asked to
 * signal changes. From then on a call costs one look into a table. Held calls keep their order, so none overtakes
 * another one to the same name.
 *
 *     asking    the bus was asked for its owner.  it has one, or the bus can't say: to `owned`; none: to `away`, and if
 *               calls are held to `starting`
 *     owned     calls pass.                       the owner leaves: to `away`
 *     away      nobody owns it.                   a call: to `starting`; an owner comes: to `owned`
 *     starting  its owner was asked for.          an owner comes: to `owned`, and the held calls go on; refused, or too
 *               late: to `away`, and they are answered by an error; unknown to the runtime: to `away`, and they go on
 *
 * Calls held in `starting` have a limit that is far below the one at which the session stops reading. Those held in
 * `asking` have that one alone, since the bus answers at once.
 *
 * The bus does not know that these names can be started: they are added to its answer to ListActivatableNames.
 */
import type { ActivationResult, OnDemand } from '../on-demand.js';
import { LIMITS_EXCEEDED } from './bus-methods.js';
import type { FilterFactory, MessageFilter, Port, Verdict } from './filter.js';
import { Flag, type Header, MessageType, wantsReply } from './header.js';
import type { Message } from './message.js';
import { BUS, errorReply, reply } from './message-writer.js';
import { isBusName, isUnique } from './names.js';
import { OWNER_CHANGED, ownerChangesOf, readOwnerChange } from './owner-change.js';
import { isFromBus } from './questions.js';

/** From the request to start its owner until a name has one, in milliseconds. */
const PATIENCE_MS = 20_000;
/** Limits of one connection. */
const MAX_NAMES = 128;
const MAX_HELD = 64;
const MAX_HELD_BYTES = 512 * 1024;
const MAX_LISTS = 64;

const LIST = 'ListActivatableNames';
const START = 'StartServiceByName';
/** The answers of StartServiceByName (D-Bus specification, "Message Bus Messages"). */
const STARTED = 1;
const RUNS_ALREADY = 2;

const TIMED_OUT = 'org.freedesktop.DBus.Error.TimedOut';
const NOT_STARTED = 'org.freedesktop.DBus.Error.Spawn.Failed';

interface Name {
  readonly name: string;
  /** See above. */
  state: 'asking' | 'owned' | 'away' | 'starting';
  held: Message[];
  timer: NodeJS.Timeout | undefined;
}

export interface ActivationOptions {
  readonly patienceMs?: number;
  /**
   * False: a policy filter is before this one. It decides which changes of owners the consumer is told of, so all are
   * passed to it; and which names are listed, so none is added.
   */
  readonly isAlone?: boolean;
}

export function activation(onDemand: OnDemand, options: ActivationOptions = {}): FilterFactory {
  return (port) => new ActivationFilter(onDemand, port, options);
}

/** Whether messages of a link have to be read for activation. `names`: as OnDemand gives them. */
export function mayActivate(names: readonly string[] | undefined): boolean {
  return names === undefined || names.length > 0;
}

class ActivationFilter implements MessageFilter {
  readonly #onDemand: OnDemand;
  readonly #port: Port;
  readonly #patienceMs: number;
  readonly #names = new Map<string, Name>();
  /** Serials of the consumer's calls of ListActivatableNames. */
  readonly #lists = new Set<number>();
  readonly #isAlone: boolean;
  #count = 0;
  #bytes = 0;
  /** The consumer has match rules of its own: a change of an owner may have been sent for one of them. */
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
    if (!message.isWhole) return name.state === 'asking' ? 'pass' : 'hold'; // the session answers that it is too long
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

  /** Follows one more name. Undefined: the limit is reached, and calls are held for each of them. */
  #watch(called: string): Name | undefined {
    if (this.#names.size >= MAX_NAMES && !this.#forgetOne()) return undefined;
    const name: Name = { name: called, state: 'asking', held: [], timer: undefined };
    this.#names.set(called, name);
    this.#port.ask('AddMatch', [ownerChangesOf(called)], (answer) => {
      if (answer.header.type === MessageType.error) this.#owned(name); // changes would go unseen
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

  /** Refuses the latest calls that were held in `asking` beyond the limit for `starting`. */
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

  /** Its owner left. If another one is being started, that goes on. */
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

  #asked(name: Name, activated: ActivationResult): void {
    if (activated.outcome === 'refused') this.#fail(name, NOT_STARTED, activated.why);
    if (activated.outcome !== 'unknown') return;
    name.state = 'away';
    this.#release(name); // the bus answers them: there is no such service
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
    else this.#port.release(message); // the bus drops it, and sends no error
  }

  #tooMany(call: Header, name: string): Buffer {
    const text = `Too many calls wait for ${name} and others to be started.`;
    return this.#error(call, LIMITS_EXCEEDED, text);
  }

  #release(name: Name): void {
    for (const message of this.#takeHeld(name)) this.#port.release(message);
  }

  /** Answers StartServiceByName. The bus would answer that it has no file for that name, though it has an owner. */
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

/** The well-known name that is to be started if nobody owns it; undefined: the message starts nobody. */
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
