/**
 * The part of the plugin contract that is about devices: what the host does for drm and input. A plugin sees
 * numbers and descriptors, never where a node is on the host.
 */
import type { LinkError } from '../../kernel/errors.js';
import type { Attachment } from '../plugin.js';

export interface DeviceNode {
  readonly major: number;
  readonly minor: number;
}

export interface DeviceOptions {
  /** Whose major number it must have. */
  readonly kind: 'drm' | 'input';
  /** What is wrong with the node that was found at `path` in the provider; null: nothing. */
  readonly check?: (path: string, node: DeviceNode) => LinkError | null;
}

export interface OpenOptions {
  readonly readOnly?: boolean;
  /** drm: the one that says what is on the screen. Without it, it is none. */
  readonly master?: boolean;
}

export interface OpenedDevice {
  /** The plugin's; non-blocking. */
  readonly fd: number;
  /** Takes back what can be taken back, whoever has the descriptor by now. More than one call does no harm. */
  revoke(): Promise<void>;
}

/** What of a DRM card can be leased; ids are the kernel's. */
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
  /** Id of the one that does; 0: none. */
  readonly crtc: number;
}

export interface Device {
  /** The device went, or another one is there: whoever has it open can let go. */
  onGone: (() => void) | null;
  /** Keeps its node at the link's target for as long as it is there. */
  plant(): Attachment;
  /** Waits for it, as for a provider's socket. */
  find(): Promise<DeviceNode | LinkError>;
  open(options: OpenOptions): Promise<OpenedDevice | LinkError>;
  /** A lease of what `choose` finds on the card: ids of connectors and CRTCs. */
  lease(choose: (card: Card) => readonly number[] | LinkError): Promise<OpenedDevice | LinkError>;
}
