/**
 * The part of the plugin contract that is about devices: what the host does for drm and input. A plugin sees numbers
 * and descriptors, and never the path of a node on the host.
 */
import type { LinkError } from '../../kernel/errors.js';
import type { Result } from '../../kernel/result.js';
import type { Attachment } from '../plugin.js';

export interface DeviceNode {
  readonly major: number;
  readonly minor: number;
}

export interface DeviceOptions {
  /** The kernel's subsystem, whose major number the node must have. */
  readonly kind: 'drm' | 'input';
  /** What is wrong with the node that was found at `path` in the provider; null: nothing. */
  readonly check?: (path: string, node: DeviceNode) => LinkError | null;
}

export interface OpenOptions {
  readonly readOnly?: boolean;
  /** drm: the descriptor is DRM master, which decides what is on the screen. False: it is not. */
  readonly master?: boolean;
}

export interface OpenedDevice {
  /** The plugin's; non-blocking. */
  readonly fd: number;
  /** Revokes it as far as the kernel can do that, whoever has the descriptor by now. Idempotent. */
  revoke(): Promise<void>;
}

/** The objects of a DRM card that can be leased, by the kernel's ids. */
export interface Card {
  readonly crtcs: readonly number[];
  readonly connectors: readonly Connector[];
}

export interface Connector {
  readonly id: number;
  /** `DRM_MODE_CONNECTOR_*` of drm_mode.h. */
  readonly type: number;
  /** The 1 of HDMI-A-1. */
  readonly number: number;
  /** Ids of the CRTCs that can drive it. */
  readonly crtcs: readonly number[];
  /** Id of the CRTC that drives it; 0: none. */
  readonly crtc: number;
}

export interface Device {
  /** Called when the device is gone, or is another one: descriptors of it are of no use any more. */
  onGone: (() => void) | null;
  /** Keeps a node of it at the link's target, as long as there is a device. */
  plant(): Attachment;
  /** Waits for the device, as for a provider's socket. */
  find(): Promise<Result<DeviceNode>>;
  open(options: OpenOptions): Promise<Result<OpenedDevice>>;
  /** Leases the objects that `choose` returns: ids of connectors and CRTCs. */
  lease(choose: (card: Card) => Result<readonly number[]>): Promise<Result<OpenedDevice>>;
}
