/**
 * Which replies are awaited, in both directions. Each call may be answered once, and a call of the bus by the bus
 * alone. That a reply to another call comes from whom was called is checked by the bus. Memory is bounded.
 */
import { type Header, MessageType } from './header.js';
import { BUS } from './message-writer.js';
import { isFromBus } from './questions.js';

/** Calls by the consumer that have no reply yet. */
const MAX_ASKED = 8_192;
/** Calls to the consumer that have no reply yet; beyond it the oldest is forgotten. */
const MAX_OWED = 8_192;

export interface Asked {
  /** The call was of the bus itself. */
  readonly ofBus: boolean;
  /** The reply is a list of names, from which those are taken out that the consumer may not see. */
  readonly isList: boolean;
}

const OF_PEER: Asked = { ofBus: false, isList: false };
const OF_BUS: Asked = { ofBus: true, isList: false };
const LIST_OF_BUS: Asked = { ofBus: true, isList: true };

export class Replies {
  readonly #asked = new Map<number, Asked>();
  readonly #owed = new Set<string>();

  get isFull(): boolean {
    return this.#asked.size >= MAX_ASKED;
  }

  isAwaited(serial: number): boolean {
    return this.#asked.has(serial);
  }

  /** The consumer sends a call. */
  asks({ serial, destination }: Header, isList = false): void {
    const ofBus = destination === BUS || destination === undefined;
    this.#asked.set(serial, isList ? LIST_OF_BUS : ofBus ? OF_BUS : OF_PEER);
  }

  /** A reply to the consumer: to which of its calls. Undefined: to none, or to one that is answered already. */
  answered(header: Header): Asked | undefined {
    const replySerial = header.replySerial as number;
    const asked = this.#asked.get(replySerial);
    if (!asked || (asked.ofBus && !isFromBus(header))) return undefined; // the bus may answer for others
    this.#asked.delete(replySerial);
    return asked;
  }

  /** No reply will come. */
  forget(serial: number): void {
    this.#asked.delete(serial);
  }

  /** The consumer gets a call. */
  owes({ serial, sender }: Header): void {
    if (this.#owed.size >= MAX_OWED) {
      const [oldest] = this.#owed;
      this.#owed.delete(oldest as string);
    }
    this.#owed.add(`${sender} ${serial}`);
  }

  /** A reply by the consumer: whether it is the first one to a call that it got. */
  settles({ replySerial, destination }: Header): boolean {
    return this.#owed.delete(`${destination} ${replySerial}`);
  }
}

export function isReply({ type }: Header): boolean {
  return type === MessageType.reply || type === MessageType.error;
}
