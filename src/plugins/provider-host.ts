/**
 * What the host does beside, for types that look at their provider or reach into it: devices, displays. Part of
 * LinkHost; a plugin that only connects needs none of it.
 */
import type { LinkError } from '../kernel/errors.js';
import type { Device, DeviceOptions } from './device/device.js';

/** What a look at the provider found: nothing wrong, or what; `waits`: that may mend by itself. */
export interface Seen {
  readonly error: LinkError | null;
  readonly waits?: boolean;
}

/** A listening stream socket beside the provider's own, for protocols that hand one over. */
export interface ProviderListener {
  /** The plugin's, both: the listener, and one that hangs up when it is removed. */
  readonly fd: number;
  readonly hangup: number;
  /** Where it is, inside the provider. */
  readonly path: string;
  /** Takes the socket out of the provider and has `hangup` hang up. Never rejects; once is as good as twice. */
  remove(): Promise<void>;
}

export interface ProviderHost {
  /**
   * From now on the link's state is what `look` says: asked when the provider changed, and every 2 s. `look` must not
   * reject.
   */
  watch(look: () => Promise<Seen>): void;
  /**
   * From now on the link is established only once `check` has found that the provider lets its consumer in: asked when it
   * can be reached, and when the returned function is called because it let one in no more.
   */
  verify(check: () => Promise<LinkError | null>): () => void;
  /** Further fields of the link in `GET /xconnect-graph`. */
  show(fields: Readonly<Record<string, unknown>>): void;
  /**
   * Planted in the provider, gone with the link; or why it can't be. `onLost`: the provider sees it there no longer.
   * Never rejects.
   */
  listenAtProvider(onLost: () => void): Promise<ProviderListener | LinkError>;
  /** The provider's device, looked for from now on; the link's state follows it. */
  device(options: DeviceOptions): Device;
}
