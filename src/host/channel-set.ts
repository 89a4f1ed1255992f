/** Channels that are open on somebody's account: known until they are closed or given away. */
import { Channel } from '../relay/channel.js';

export class ChannelSet {
  readonly #channels = new Set<Channel>();
  #emptied: (() => void)[] = [];

  get size(): number {
    return this.#channels.size;
  }

  /** Takes the descriptor. Paused: nothing may be lost before somebody listens. */
  open(fd: number): Channel {
    const channel = new Channel(fd, false, () => {
      this.#channels.delete(channel);
      this.#checkEmpty();
    });
    channel.pause();
    this.#channels.add(channel);
    return channel;
  }

  /** Closes what is still open after `drainMs`, and resolves then, or as soon as nothing is left. */
  async drain(drainMs: number): Promise<void> {
    const timer = setTimeout(() => {
      for (const channel of [...this.#channels]) channel.close();
    }, drainMs);
    await new Promise<void>((resolve) => {
      this.#emptied.push(resolve);
      this.#checkEmpty();
    });
    clearTimeout(timer);
  }

  #checkEmpty(): void {
    if (this.#channels.size > 0) return;
    for (const resolve of this.#emptied.splice(0)) resolve();
  }
}
