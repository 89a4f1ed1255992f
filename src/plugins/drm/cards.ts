/**
 * What the links to one card have in common: which client is DRM master, and which of its objects are leased. Made with
 * the plugin, for all of its links.
 */
import type { Result } from '../../kernel/result.js';
import { SerialQueue } from '../../kernel/serial-queue.js';
import type { OpenForClient } from '../device/descriptor-server.js';
import type { DeviceNode, OpenedDevice } from '../device/device.js';

/**
 * What one client can have at a time: the newest client has it, and the one that had it before is ended first. Clients
 * that come at the same time take turns.
 */
export class Exclusive {
  #end: (() => Promise<void>) | null = null;
  readonly #queue = new SerialQueue();

  /** `end`: ends this client. `open`: called once no other client has it. */
  take(
    end: Parameters<OpenForClient>[0],
    open: () => Promise<Result<OpenedDevice>>,
  ): Promise<Result<OpenedDevice>> {
    return this.#queue.run(async () => {
      await this.#end?.();
      this.#end = null;
      const opened = await open();
      if (opened.ok) this.#end = end;
      return opened;
    });
  }
}

export class CardUse {
  readonly master = new Exclusive();
  /** Ids of connectors and CRTCs. */
  readonly leased = new Set<number>();
}

export class Cards {
  /** By `major:minor`. */
  readonly #uses = new Map<string, CardUse>();

  of({ major, minor }: DeviceNode): CardUse {
    const key = `${major}:${minor}`;
    const use = this.#uses.get(key) ?? new CardUse();
    this.#uses.set(key, use);
    return use;
  }
}
