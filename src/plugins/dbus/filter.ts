/**
 * The seam between a connection whose messages are looked at and those who judge them.
 *
 * Filters stand in a row from the consumer to the bus. What the consumer sends passes them in that order, what the
 * bus sends in the other. Each says what becomes of a message; the first that does not pass it has the last word.
 */
import type { BodyValue } from './body.js';
import type { Header } from './header.js';
import type { Message } from './message.js';
import type { Addressed } from './message-writer.js';

export type Verdict =
  | 'pass'
  /** It is gone, its descriptors with it. */
  | 'drop'
  /** The filter keeps it, to `release` or `answer` it later; everything behind it goes on. Whole messages only. */
  | 'hold'
  /** It is dropped, and this goes back to whoever sent it. */
  | { readonly answer: Buffer }
  /** This goes on in its place, past every other filter. */
  | { readonly replace: Buffer };

export interface MessageFilter {
  /**
   * The consumer said Hello, and the bus hears of it: now it may be asked. Nothing more comes from the consumer until
   * this resolves.
   */
  started?(): Promise<void>;
  fromConsumer(message: Message): Verdict;
  fromBus(message: Message): Verdict;
  /** A call that this filter let pass was answered by one behind it: nobody else will answer it. */
  answered?(call: Message): void;
  /** The connection is over; what is held is gone already. */
  ended?(): void;
}

/** What a filter may do beside judging. After the end of the connection nothing happens any more. */
export interface Port {
  /** Of the consumer, once the bus has told it. */
  readonly uniqueName: string | undefined;
  /** For an answer to this call, in place of the bus. */
  answerTo(call: Pick<Header, 'serial'>): Addressed;
  /** Calls a method of the bus itself. The answer comes to `onAnswer` and to nobody else. */
  ask(member: string, values: readonly BodyValue[], onAnswer: (answer: Message) => void): void;
  /** A message from the consumer that this filter held goes on, to the next filter. */
  release(message: Message): void;
  /** A message from the consumer that this filter held is dropped, and this sent to the consumer. */
  answer(message: Message, answer: Buffer): void;
  /** Ends the connection: it can't go on as it should. One sentence. */
  end(reason: string): void;
}

export type FilterFactory = (port: Port) => MessageFilter;
