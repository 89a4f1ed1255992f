/**
 * What goes to one side of a connection. Pieces that stood next to each other when they came leave in one write.
 */
import type { Channel } from '../plugin.js';

export class Outlet {
  readonly #channel: Channel;
  #chunk: Buffer | null = null;
  #start = 0;
  #end = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Bytes of a chunk. Takes the descriptors, which go with the first of them. */
  pass(chunk: Buffer, start: number, end: number, fds: readonly number[]): void {
    if (fds.length > 0) {
      this.send(chunk.subarray(start, end), fds);
      return;
    }
    if (this.#chunk !== chunk || this.#end !== start) {
      this.flush();
      this.#chunk = chunk;
      this.#start = start;
    }
    this.#end = end;
  }

  /** Takes the descriptors. */
  send(bytes: Buffer, fds: readonly number[] = []): void {
    this.flush();
    this.#channel.write(bytes, fds);
  }

  /** Once nothing more comes that could stand next to it. */
  flush(): void {
    const chunk = this.#chunk;
    if (!chunk) return;
    this.#chunk = null;
    const isAll = this.#start === 0 && this.#end === chunk.length;
    this.#channel.write(isAll ? chunk : chunk.subarray(this.#start, this.#end));
  }
}
