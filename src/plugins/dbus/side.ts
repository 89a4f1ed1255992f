/**
 * One side of a session: its channel, the reader that makes messages of its bytes, and the queue of what is sent to it.
 *
 * No message of it is delivered while one `stop` or more is in effect: the session stops it until its filters have
 * started, and it stops itself when the work that its link may take in one turn of the event loop is done
 * (work-budget.ts).
 */
import type { Channel } from '../plugin.js';
import { MessageReader, type ReaderOptions, type Receiver } from './message-reader.js';
import { SendQueue } from './send-queue.js';
import type { WorkBudget } from './work-budget.js';

export interface SideOwner {
  /** So many bytes came, and their messages were delivered. `fault`: what is wrong with them; null: nothing. */
  onRead(side: Side, bytes: number, fault: string | null): void;
  /** It sends no more, and all its messages were delivered. */
  onEnd(side: Side, broken: boolean): void;
  /** The channel was closed by the host. */
  onClosed(): void;
  /** A filter or the session threw. */
  onBug(thrown: unknown): void;
}

export class Side {
  readonly channel: Channel;
  readonly output: SendQueue;
  readonly #reader: MessageReader;
  readonly #owner: SideOwner;
  readonly #work: WorkBudget;
  /** How many times `stop` was called without `go`. */
  #stops = 0;
  #isOver = false;
  #isFinished = false;
  #isWaiting = false;

  /** `work`: the budget of its link. */
  constructor(
    channel: Channel,
    options: ReaderOptions & { readonly work: WorkBudget },
    owner: SideOwner,
    { onMessage, onMore }: Receiver,
  ) {
    this.channel = channel;
    this.output = new SendQueue(channel);
    this.#owner = owner;
    this.#work = options.work;
    const taking: Receiver = {
      onMessage: (message) => {
        const { length } = message;
        const isWanted = onMessage(message);
        if (!this.#work.spend(length)) this.#takeTurns();
        return isWanted;
      },
      onMore,
    };
    this.#reader = new MessageReader(taking, options);
    channel.onData = (chunk, fds) => this.#look(chunk, fds);
    channel.onEnd = (error) => {
      this.#isOver = true;
      owner.onEnd(this, error !== undefined);
    };
    channel.onClosed = () => owner.onClosed();
  }

  /** No more comes from it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Reads no more of it. */
  giveUp(): void {
    this.#isOver = true;
    this.#reader.close();
    this.channel.pause();
  }

  /** Ends the stream towards it, behind all that is being sent. Idempotent. */
  finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.channel.end();
  }

  /** Its descriptors in our table: they wait for their message, or to be sent. */
  get fds(): number {
    return this.#reader.waitingFds + this.output.waitingFds + this.channel.unsentFds;
  }

  /** Whether its channel is read. */
  read(wanted: boolean): void {
    if (wanted && !this.#isOver && !this.#reader.isStopped) this.channel.resume();
    else this.channel.pause();
  }

  /** Calls `then` when all that was sent is with the kernel. A second call meanwhile has no effect. */
  onRoom(then: () => void): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    void this.channel.flushed().then(() => {
      this.#isWaiting = false;
      then();
    });
  }

  /** Delivers nothing until `go`. */
  stop(): void {
    this.#stops++;
    this.#reader.stop();
  }

  /** Takes back one `stop`. */
  go(): void {
    if (--this.#stops === 0) this.#look(null, []);
  }

  #takeTurns(): void {
    this.stop();
    this.#work.wait(() => this.go());
  }

  /** Delivers messages. `chunk`: null for what was left by `stop`. An exception ends this connection alone. */
  #look(chunk: Buffer | null, fds: readonly number[]): void {
    try {
      const fault = chunk ? this.#reader.feed(chunk, fds) : this.#reader.go();
      this.#owner.onRead(this, chunk?.length ?? 0, fault);
    } catch (thrown) {
      this.#owner.onBug(thrown);
    }
  }

  close(): void {
    this.#reader.close();
    this.output.close();
    this.channel.onClosed = null;
    this.channel.close();
  }
}
