/**
 * Which replies are awaited: each call may be answered once, that of the bus by the bus alone. Who on it may answer
 * another one is for the bus, which knows whom it gave the call to. Bounded.
 */
import { type Header, MessageType } from './header.js';
import { BUS } from './message-writer.js';
import { isFromBus } from './questions.js';

/** Calls by a consumer without an answer. */
const MAX_ASKED = 8_192;
/** Calls to a consumer; the oldest is forgotten. */
const MAX_OWED = 8_192;

export interface Asked {
  /** The bus itself was asked, not somebody on it. */
  readonly ofBus: boolean;
  /** Names in the answer that may not be seen are to be taken out. */
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

  /** The consumer calls somebody. */
  asks({ serial, destination }: Header, isList = false): void {
    const ofBus = destination === BUS || destination === undefined;
    this.#asked.set(serial, isList ? LIST_OF_BUS : ofBus ? OF_BUS : OF_PEER);
  }

  /** What this answers; undefined: nothing that was asked. */
  answered(header: Header): Asked | undefined {
    const replySerial = header.replySerial as number;
    const asked = this.#asked.get(replySerial);
    if (!asked || (asked.ofBus && !isFromBus(header))) return undefined; // the bus may answer for others
    this.#asked.delete(replySerial);
    return asked;
  }

  /** Nobody will answer it. */
  forget(serial: number): void {
    this.#asked.delete(serial);
  }

  /** Somebody calls the consumer. */
  owes({ serial, sender }: Header): void {
    if (this.#owed.size >= MAX_OWED) {
      const [oldest] = this.#owed;
      this.#owed.delete(oldest as string);
    }
    this.#owed.add(`${sender} ${serial}`);
  }

  /** Whether the consumer answers what it was asked, and for the first time. */
  settles({ replySerial, destination }: Header): boolean {
    return this.#owed.delete(`${destination} ${replySerial}`);
  }
}

export function isReply({ type }: Header): boolean {
  return type === MessageType.reply || type === MessageType.error;
}
