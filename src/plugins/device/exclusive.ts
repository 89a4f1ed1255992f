/**
 * What one client can have at a time: the newest has it, and whoever had it before is ended first. Those who come
 * together take their turns.
 */
import type { LinkError } from '../../kernel/errors.js';
import { SerialQueue } from '../../kernel/serial-queue.js';
import type { OpenForClient } from './descriptor-server.js';
import type { OpenedDevice } from './device.js';

export class Exclusive {
  #end: (() => Promise<void>) | null = null;
  readonly #queue = new SerialQueue();

  take(
    end: Parameters<OpenForClient>[0],
    open: () => Promise<OpenedDevice | LinkError>,
  ): Promise<OpenedDevice | LinkError> {
    return this.#queue.run(async () => {
      await this.#end?.();
      this.#end = null;
      const opened = await open();
      if ('fd' in opened) this.#end = end;
      return opened;
    });
  }
}
