/**
 * Questions of our own to the bus, on a consumer's connection, which may use any serials: it may be another such proxy.
 *
 * Ours are of a block of 65,536 that the consumer has not come to when we ask. Should it come there while the answer is
 * on its way, the first answer of the bus is ours all the same, for it answers in the order in which it is asked.
 */
import type { BodyValue } from './body.js';
import { type Header, MessageType } from './header.js';
import type { Message } from './message.js';
import { BUS, busCall } from './message-writer.js';

const COUNT = 0x1_0000;
const BLOCKS = 0x1_0000;
/** The last block is that of the questions that xdg-dbus-proxy asks, which takes it from nobody else. */
const LAST = BLOCKS - 2;
const FIRST = BLOCKS / 2 - 1;

export class Questions {
  readonly #open = new Map<number, (answer: Message) => void>();
  /** Blocks that the consumer has used, one bit each; null: at most the first one. */
  #used: Uint8Array | null = null;
  #lastUsed = 0;
  #block = FIRST;
  #count = 0;

  /** The consumer has given a message this serial. */
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

  /** To a block that the consumer has not come to. Once it has come to all, it has long left all but the last. */
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

  /** What is to be sent to the bus. */
  ask(member: string, values: readonly BodyValue[], onAnswer: (answer: Message) => void): Buffer {
    const serial = this.#nextSerial();
    this.#open.set(serial, onAnswer);
    return busCall(serial, member, values);
  }

  /** Whether it was an answer to a question of ours; whoever asked has it now. */
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

/** The bus puts the sender into every message of others. Its answers to who named no receiver may have none. */
export function isFromBus({ sender }: Header): boolean {
  return sender === BUS || sender === undefined;
}

export function isHello({ type, destination, interface: of, member }: Header): boolean {
  const isBus = destination === BUS && (of === undefined || of === BUS);
  return type === MessageType.call && isBus && member === 'Hello';
}
