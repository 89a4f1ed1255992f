/** Messages that filters of one connection keep, each with the place of the filter that keeps it. */
import { closeAll } from '../../kernel/descriptors.js';
import type { Message } from './message.js';

export class Held {
  readonly #places = new Map<Message, number>();
  #bytes = 0;
  #fds = 0;

  get count(): number {
    return this.#places.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get fds(): number {
    return this.#fds;
  }

  add(message: Message, place: number): void {
    message.keep();
    this.#places.set(message, place);
    this.#bytes += message.length;
    this.#fds += message.fds.length;
  }

  /** The place that kept it; undefined where none does. It is the caller's then. */
  take(message: Message): number | undefined {
    const place = this.#places.get(message);
    if (place === undefined) return undefined;
    this.#places.delete(message);
    this.#bytes -= message.length;
    this.#fds -= message.fds.length;
    return place;
  }

  clear(): void {
    for (const message of [...this.#places.keys()]) {
      this.take(message);
      closeAll(message.fds);
    }
  }
}
