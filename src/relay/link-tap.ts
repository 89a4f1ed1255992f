/**
 * A tap of one link of the relay, as this process has it: the socket into which the relay writes what passes
 * (native/relay/tap.c). While it is paused the relay writes until the socket is full, and then leaves out and counts.
 */
import { withDeadline } from '../kernel/deadline.js';
import { Channel } from './channel.js';
import { decodeTapped, type TappedRecord } from './protocol.js';

/** At the end: how long what is still in the socket may take to be read, in milliseconds. */
const LAST_MS = 2_000;

export class LinkTap {
  /** Resolves when it has begun: what is read from then on is told. */
  readonly begun: Promise<void>;
  readonly #channel: Channel;
  readonly #stop: () => Promise<number>;
  readonly #read: Promise<void>;

  /** Takes the descriptor. `stop`: has the relay end it, and resolves to the bytes that were left out at last. */
  constructor(fd: number, onTapped: (record: TappedRecord) => void, stop: () => Promise<number>) {
    this.#stop = stop;
    this.#channel = new Channel(fd, true);
    let begin!: () => void;
    this.begun = new Promise((resolve) => {
      begin = resolve;
    });
    this.#channel.onData = (data) => {
      begin();
      const record = decodeTapped(data);
      if (record && (record.conn > 0 || record.dropped > 0)) onTapped(record);
    };
    this.#read = new Promise((resolve) => {
      this.#channel.onEnd = () => {
        begin();
        resolve();
      };
    });
  }

  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
  }

  /** Resolves once all that was written is read, or in a moment, to the bytes that nobody was told of. Never rejects. */
  async end(): Promise<number> {
    const dropped = await withDeadline(this.#stop(), LAST_MS, 0);
    await withDeadline(this.#read, LAST_MS, undefined);
    this.leave();
    return dropped;
  }

  /** Reads no more: the relay ends it when it notices. */
  leave(): void {
    this.#channel.close();
  }
}
