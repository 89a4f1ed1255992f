/**
 * The time from BEGIN until the bus has registered its client: until it sends anything but an error, which is its
 * answer to every call before Hello. Bytes are passed on as they come. Of the bus, no more is read than errors and the
 * first 16 bytes of the message after them, so the relay can take both channels as they are.
 */
import { closeAll } from '../../kernel/descriptors.js';
import type { Channel } from '../plugin.js';
import { FIXED_LENGTH, MessageType, readFrame } from './header.js';

export class Registration {
  readonly #consumer: Channel;
  readonly #bus: Channel;
  /** The first bytes of the bus's next message. */
  #head = Buffer.alloc(0);
  /** Bytes still to come of an error. */
  #rest = 0;
  #settle: (failed: string | null) => void = () => undefined;

  /** Both channels stay the caller's. */
  constructor(consumer: Channel, bus: Channel) {
    this.#consumer = consumer;
    this.#bus = bus;
  }

  /**
   * Resolves with null once the bus has registered the consumer, or when the consumer sends no more; else with what
   * went wrong, in one sentence. Both channels are paused then.
   */
  async run(): Promise<string | null> {
    const [consumer, bus] = [this.#consumer, this.#bus];
    const failed = await new Promise<string | null>((settle) => {
      this.#settle = settle;
      consumer.onData = (bytes, fds) => this.#pass(consumer, bus, 0, bytes, fds);
      bus.onData = (bytes, fds) => this.#fromBus(bytes, fds);
      consumer.onEnd = () => settle(null);
      bus.onEnd = () => settle('The bus left before it knew the consumer.');
      consumer.onTruncated = bus.onTruncated = (_bytes, fds) => {
        closeAll(fds);
        settle('Descriptors were lost for want of room.');
      };
      consumer.onClosed = bus.onClosed = () => settle('The link has ended.');
      consumer.resume();
      bus.resume(FIXED_LENGTH);
    });
    for (const side of [consumer, bus]) {
      side.pause();
      side.onData = side.onTruncated = side.onEnd = side.onClosed = null;
    }
    return failed;
  }

  /** Ends `run` with that sentence. */
  abort(reason: string): void {
    this.#settle(reason);
  }

  #fromBus(bytes: Buffer, fds: number[]): void {
    if (this.#rest > 0) {
      this.#rest -= bytes.length;
    } else {
      this.#head = Buffer.concat([this.#head, bytes]);
      if (this.#head.length === FIXED_LENGTH && !this.#isRefused(this.#head)) {
        this.#consumer.write(bytes, fds);
        this.#settle(null);
        return;
      }
    }
    const wanted = this.#rest > 0 ? this.#rest : FIXED_LENGTH - this.#head.length;
    this.#pass(this.#bus, this.#consumer, wanted, bytes, fds);
  }

  /** Whether it is an error. Bytes that are no message are passed on like an answer. */
  #isRefused(head: Buffer): boolean {
    const frame = readFrame(head, 0);
    if (typeof frame === 'string' || head[1] !== MessageType.error) return false;
    this.#rest = frame.total - FIXED_LENGTH;
    this.#head = Buffer.alloc(0);
    return true;
  }

  /** Reads at most `wanted` bytes next, once there is room for them. */
  #pass(from: Channel, to: Channel, wanted: number, bytes: Buffer, fds: number[]): void {
    const hasRoom = to.write(bytes, fds);
    if (hasRoom) {
      if (wanted > 0) from.resume(wanted);
      return;
    }
    from.pause();
    void to.flushed().then(() => {
      if (from.onData) from.resume(wanted); // unless `run` has ended meanwhile
    });
  }
}
