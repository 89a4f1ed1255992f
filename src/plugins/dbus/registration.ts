/**
 * The time from BEGIN until the bus has registered its client: until it sends anything but an error, which is its
 * answer to every call before Hello. Bytes are passed on as they come. Of the bus, no more is read than errors and the
 * header of the message after them, so the relay can take both channels as they are.
 */
import { closeAll } from '../../kernel/descriptors.js';
import type { Channel } from '../plugin.js';
import { FIXED_LENGTH, MessageType, readFrame, readHeader } from './header.js';

/** Bytes of the header of an answer to Hello; a longer one is not read. */
const LONGEST_HEADER = 1024;

export class Registration {
  /** That the bus gave the consumer. Undefined: it has not registered it, or its answer can't be read. */
  uniqueName: string | undefined;
  readonly #consumer: Channel;
  readonly #bus: Channel;
  /** The first bytes of the bus's next message, and how many of them are to be read. */
  #head = Buffer.alloc(0);
  #wanted = FIXED_LENGTH;
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
      if (this.#head.length === this.#wanted && !this.#goesOn(this.#head)) {
        this.#consumer.write(bytes, fds);
        this.#settle(null);
        return;
      }
    }
    const wanted = this.#rest > 0 ? this.#rest : this.#wanted - this.#head.length;
    this.#pass(this.#bus, this.#consumer, wanted, bytes, fds);
  }

  /** Whether more is to be read: of an error all, of an answer its header. Bytes that are no message are passed on like one. */
  #goesOn(head: Buffer): boolean {
    const frame = readFrame(head, 0);
    if (typeof frame === 'string') return false;
    if (head[1] === MessageType.error) {
      this.#rest = frame.total - FIXED_LENGTH;
      this.#head = Buffer.alloc(0);
      return true;
    }
    if (head.length === frame.header) {
      const header = readHeader(head, 0, frame);
      if (typeof header === 'object') this.uniqueName = header.destination;
    }
    if (head.length > FIXED_LENGTH || frame.header > LONGEST_HEADER) return false;
    this.#wanted = frame.header;
    return head.length < frame.header;
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
