/**
 * One side of a connection: its channel, its bytes made messages, and what is on its way to it.
 */
import type { Channel } from '../plugin.js';
import { MessageReader, type ReaderOptions, type Receiver } from './message-reader.js';
import { Outlet } from './outlet.js';

export interface SideOwner {
  onRead(side: Side, bytes: number, fault: string | null): void;
  onEnd(side: Side, broken: boolean): void;
  onClosed(): void;
}

export class Side {
  readonly channel: Channel;
  readonly outlet: Outlet;
  readonly #reader: MessageReader;
  #isOver = false;
  #isWaiting = false;

  constructor(channel: Channel, options: ReaderOptions, owner: SideOwner, receiver: Receiver) {
    this.channel = channel;
    this.outlet = new Outlet(channel);
    this.#reader = new MessageReader(receiver, options);
    channel.onData = (chunk, fds) =>
      owner.onRead(this, chunk.length, this.#reader.feed(chunk, fds));
    channel.onEnd = (error) => {
      this.#isOver = true;
      owner.onEnd(this, error !== undefined);
    };
    channel.onClosed = () => owner.onClosed();
  }

  /** It will send no more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Descriptors in our table that wait for a message, or for room. */
  get fds(): number {
    return this.#reader.waitingFds + this.channel.unsentFds;
  }

  read(wanted: boolean): void {
    if (wanted && !this.#isOver) this.channel.resume();
    else this.channel.pause();
  }

  /** Calls back when all that was sent is with the kernel; once, however often it is asked for meanwhile. */
  onRoom(then: () => void): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    void this.channel.flushed().then(() => {
      this.#isWaiting = false;
      then();
    });
  }

  close(): void {
    this.#reader.close();
    this.channel.onClosed = null;
    this.channel.close();
  }
}
