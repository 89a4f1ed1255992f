/**
 * The host itself as the provider's end of one link: the runtime provides the devices of the machine, and its buses
 * (bus-provider.ts). There is nothing to connect to; whoever wants a device looks for it here.
 */
import { setImmediate } from 'node:timers/promises';
import type { Link } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';
import { type Attempt, failed, type Result } from '../kernel/result.js';
import type { Seen } from '../plugins/plugin.js';
import { THE_HOST } from './containers.js';
import type { ProviderEnd, ProviderParts } from './provider.js';
import { ProviderLook } from './provider-look.js';

export class HostProvider implements ProviderEnd {
  readonly container = THE_HOST;
  readonly hasFixedIdentity = false;
  readonly #parts: ProviderParts;
  readonly #unsupported: LinkError;
  #look: ProviderLook | null = null;
  #isClosed = false;

  constructor(parts: ProviderParts, { type }: Link) {
    this.#parts = parts;
    const message = `The runtime provides no ${type} service.`;
    this.#unsupported = { code: 'type-unsupported', message };
  }

  async retarget(): Promise<void> {
    if (this.#isClosed) return;
    this.#parts.onChange();
    if (this.#look) {
      await this.#look.anew();
      return;
    }
    await setImmediate(); // until the plugin has said what it looks for
    if (!this.#look) this.#parts.announcer.say({ error: this.#unsupported });
  }

  standingRequest(): null {
    return null;
  }

  async request(): Promise<Result<never>> {
    return failed(this.#unsupported);
  }

  async connect(): Promise<Attempt<never>> {
    return { ok: false, error: this.#unsupported, waits: false };
  }

  async listen(): Promise<Result<never>> {
    return failed(this.#unsupported);
  }

  /** Nobody has tried. */
  reached(): void {}

  released(): void {}

  lookWith(look: () => Promise<Seen>): void {
    if (this.#isClosed) return;
    this.#look?.stop();
    this.#look = new ProviderLook((seen) => this.#parts.announcer.say(seen), look, true);
    void this.#look.anew();
  }

  soon(): void {
    if (!this.#isClosed) this.#look?.soon();
  }

  close(): void {
    this.#isClosed = true;
    this.#look?.stop();
  }
}
