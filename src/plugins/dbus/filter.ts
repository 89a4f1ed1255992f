/**
 * The interface between a session, which moves messages, and the filters, which decide about them.
 *
 * Filters form a row from the consumer to the bus. A message of the consumer goes through them in that order, a message
 * of the bus in the reverse order, until one of them does anything but pass it.
 */
import type { BodyValue } from './body.js';
import type { Header } from './header.js';
import type { Message } from './message.js';
import type { Addressed } from './message-writer.js';

export type Verdict =
  | 'pass'
  /** It goes nowhere, and its descriptors are closed. */
  | 'drop'
  /**
   * The filter holds it, and releases or answers it later. Later messages go on. For whole messages of the consumer.
   */
  | 'hold'
  /** It is dropped, and this message is sent to its sender. */
  | { readonly answer: Buffer }
  /** This message is sent in its place, without going through the other filters. */
  | { readonly replace: Buffer };

export interface MessageFilter {
  /** Hello is on its way to the bus, which may be asked from now on. The consumer is not read until this resolves. */
  started?(): Promise<void>;
  fromConsumer(message: Message): Verdict;
  fromBus(message: Message): Verdict;
  /** A call that this filter passed was answered by a later filter, so the bus will not answer it. */
  answered?(call: Message): void;
  /** The connection has ended, and held messages are gone. */
  ended?(): void;
}

/** What a filter can do beside its verdicts. None of it has an effect after the end of the connection. */
export interface Port {
  /** The consumer's; undefined until the bus has answered Hello. */
  readonly uniqueName: string | undefined;
  /** The address of an answer to this call, which is sent in place of the bus. */
  answerTo(call: Pick<Header, 'serial'>): Addressed;
  /** Calls a method of the bus itself. The answer is given to `onAnswer`, and not to the consumer. */
  ask(member: string, values: readonly BodyValue[], onAnswer: (answer: Message) => void): void;
  /** A message that this filter holds goes on to the next filter. */
  release(message: Message): void;
  /** A message that this filter holds is dropped, and `answer` is sent to the consumer. */
  answer(message: Message, answer: Buffer): void;
  /** Ends the connection. `reason`: one sentence. */
  end(reason: string): void;
}

export type FilterFactory = (port: Port) => MessageFilter;
