/**
 * Channels that are open on somebody's account: known until they are closed or given away, and what they carried
 * as streams of bytes is counted.
 */
import { DrainBarrier, drainThenClose } from '../kernel/drain.js';
import { ByteChannel } from '../relay/byte-channel.js';
import type { OnPassed } from '../relay/byte-stream.js';
import { Channel } from '../relay/channel.js';
import { type Closing, newClosing } from '../relay/closing.js';
import { HeldConnections } from './held-connections.js';

interface ChannelTap {
  readonly kind: typeof Channel | typeof ByteChannel;
  readonly onPassed: (number: number, ...passed: Parameters<OnPassed>) => void;
}

/** Whose account a channel is on. */
const owners = new WeakMap<Channel, ChannelSet>();

export class ChannelSet {
  /** On whose account what comes through them is closed. */
  readonly closing: Closing;
  /** The same ones, for who wants to see them. */
  readonly held = new HeldConnections();
  readonly #channels = new Set<Channel | ByteChannel>();
  /** Who taps those of one kind, by the numbers that they are held under. */
  #tap: ChannelTap | null = null;
  /** Of byte channels that are closed. */
  #bytesIn = 0;
  #bytesOut = 0;
  /** One that goes on as bytes: it is neither the one nor the other for a moment, and has not ended. */
  #moving: Channel | null = null;
  readonly #barrier = new DrainBarrier(() => this.#channels.size === 0 && !this.#moving);

  constructor(closing: Closing = newClosing()) {
    this.closing = closing;
  }

  get size(): number {
    return this.#channels.size;
  }

  /** As read from and written to the peers of byte channels. */
  get bytes(): { readonly in: number; readonly out: number } {
    const sum = { in: this.#bytesIn, out: this.#bytesOut };
    for (const channel of this.#channels) {
      if (!(channel instanceof ByteChannel)) continue;
      sum.in += channel.bytesIn;
      sum.out += channel.bytesOut;
    }
    return sum;
  }

  /** Takes the descriptor. Paused: nothing may be lost before somebody listens. */
  open(fd: number): Channel {
    const remove = () => this.#remove(channel);
    const channel: Channel = new Channel(fd, false, remove, this.closing);
    channel.pause();
    this.#channels.add(channel);
    this.held.add(channel);
    this.#tapOne(channel);
    owners.set(channel, this);
    return channel;
  }

  /** The same connection as bytes, on the same account; the channel is closed by it. */
  static bytes(channel: Channel): ByteChannel {
    const set = owners.get(channel);
    if (!set) return new ByteChannel(channel.release());
    set.#moving = channel;
    const stream: ByteChannel = new ByteChannel(channel.release(), () => {
      set.#bytesIn += stream.bytesIn;
      set.#bytesOut += stream.bytesOut;
      set.#remove(stream);
    });
    set.held.replace(channel, stream);
    set.#channels.add(stream);
    set.#tapOne(stream);
    set.#moving = null;
    return stream;
  }

  /** Shows what passes on those of that kind, and those to come, until the returned function is called. */
  tap(kind: ChannelTap['kind'], onPassed: ChannelTap['onPassed']): () => void {
    this.#tap = { kind, onPassed };
    for (const channel of this.#channels) this.#tapOne(channel);
    return () => {
      this.#tap = null;
      for (const channel of this.#channels) channel.onPassed = null;
    };
  }

  /** Resolves when nothing is open. */
  drained(): Promise<void> {
    return this.#barrier.drained();
  }

  /** Closes what is still open after `drainMs`, and resolves then, or as soon as nothing is left. */
  drain(drainMs: number): Promise<void> {
    const leave = () => this.drained();
    return drainThenClose(drainMs, leave, () => {
      for (const channel of [...this.#channels]) {
        if (channel instanceof ByteChannel) channel.abort();
        else channel.close();
      }
    });
  }

  #tapOne(channel: Channel | ByteChannel): void {
    const tap = this.#tap;
    if (!tap || !(channel instanceof tap.kind)) return;
    const number = this.held.numberOf(channel);
    channel.onPassed = (...passed) => tap.onPassed(number, ...passed);
  }

  #remove(channel: Channel | ByteChannel): void {
    this.#channels.delete(channel);
    if (channel !== this.#moving) this.held.delete(channel);
    this.#barrier.check();
  }
}
