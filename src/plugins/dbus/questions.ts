/**
 * Questions of our own to the bus, on a consumer's connection. Their serials are of a range that is ours: a consumer
 * that counts from 1 would have to send four thousand million messages to come to it.
 */
import type { BodyValue } from './body.js';
import { type Header, MessageType } from './header.js';
import type { Message } from './message.js';
import { BUS, busCall } from './message-writer.js';

const FIRST = 0xffff_0000;
const COUNT = 0xffff;

export class Questions {
  readonly #open = new Map<number, (answer: Message) => void>();
  #count = 0;

  /** Whether a consumer may not use it. */
  isOurs(serial: number): boolean {
    return serial >= FIRST;
  }

  nextSerial(): number {
    this.#count = (this.#count + 1) % COUNT;
    return FIRST + this.#count;
  }

  /** What is to be sent to the bus. */
  ask(member: string, values: readonly BodyValue[], onAnswer: (answer: Message) => void): Buffer {
    const serial = this.nextSerial();
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

/** The bus puts the sender into every message: nobody else can be called as it is. */
export function isFromBus({ sender }: Header): boolean {
  return sender === BUS;
}

export function isHello({ type, destination, interface: of, member }: Header): boolean {
  const isBus = destination === BUS && (of === undefined || of === BUS);
  return type === MessageType.call && isBus && member === 'Hello';
}
