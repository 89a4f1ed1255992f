/**
 * Our own calls of the bus, on a consumer's connection. Their serials must differ from the consumer's, which may use
 * any (it may be such a proxy, too).
 *
 * Ours are taken from a block of 65,536 serials that the consumer has not used when we ask. If the consumer comes to
 * use the same serial before the answer is there, the first answer of the bus is still ours, since the bus answers
 * calls in the order in which they come.
 */
import type { BodyValue } from './body.js';
import { type Header, MessageType } from './header.js';
import type { Message } from './message.js';
import { BUS, busCall } from './message-writer.js';

const COUNT = 0x1_0000;
const BLOCKS = 0x1_0000;
/** The block after it is the one that xdg-dbus-proxy uses for its own calls, and refuses to its clients. */
const LAST = BLOCKS - 2;
const FIRST = BLOCKS / 2 - 1;

export class Questions {
  /** Calls without an answer, by their serial. */
  readonly #open = new Map<number, (answer: Message) => void>();
  /** Blocks that the consumer has used, one bit each; null: none but the first. */
  #used: Uint8Array | null = null;
  #lastUsed = 0;
  #block = FIRST;
  #count = 0;

  /** The consumer has sent a message with this serial. */
  heard(serial: number): void {
    const block = serial >>> 16;
    if (block === this.#lastUsed) return;
    this.#lastUsed = block;
    this.#mark(block);
    if (block === this.#block) this.#move();
  }

  #mark(block: number): void {
    this.#used ??= new Uint8Array(BLOCKS / 8);
    this.#used[block >> 3] = (this.#used[block >> 3] as number) | (1 << (block & 7));
  }

  #isUsed(block: number): boolean {
    return block === 0 || (((this.#used?.[block >> 3] ?? 0) >> (block & 7)) & 1) === 1;
  }

  /** Goes to a block that the consumer has not used. If it has used all, those before its last one are long over. */
  #move(): void {
    this.#count = 0;
    for (let tries = 0; tries < BLOCKS; tries++) {
      this.#block = this.#block <= 1 ? LAST : this.#block - 1;
      if (!this.#isUsed(this.#block)) return;
    }
    this.#used = null;
    this.#mark(this.#lastUsed);
    this.#move();
  }

  #nextSerial(): number {
    if (this.#count === COUNT) this.#move();
    return this.#block * COUNT + this.#count++;
  }

  /** Returns the call to be sent to the bus. */
  ask(member: string, values: readonly BodyValue[], onAnswer: (answer: Message) => void): Buffer {
    const serial = this.#nextSerial();
    this.#open.set(serial, onAnswer);
    return busCall(serial, member, values);
  }

  /** Passes an answer to one of our calls to its `onAnswer`. False: the message is no such answer. */
  take(message: Message): boolean {
    const { header } = message;
    if (!isFromBus(header) || header.replySerial === undefined) return false;
    const onAnswer = this.#open.get(header.replySerial);
    if (!onAnswer) return false;
    this.#open.delete(header.replySerial);
    onAnswer(message);
    return true;
  }

  clear(): void {
    this.#open.clear();
  }
}

/** The bus sets the sender of every message of others. Its own answers to calls without a destination may have none. */
export function isFromBus({ sender }: Header): boolean {
  return sender === BUS || sender === undefined;
}

export function isHello({ type, destination, interface: of, member }: Header): boolean {
  const isBus = destination === BUS && (of === undefined || of === BUS);
  return type === MessageType.call && isBus && member === 'Hello';
}
