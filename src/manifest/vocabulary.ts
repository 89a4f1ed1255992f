/**
 * The words that manifests, graph and wire form share.
 */

export const SERVICE_TYPES = [
  'unix',
  'rest',
  'dbus',
  'drm',
  'input',
  'wayland',
  'tcp',
  'http',
] as const;
export type ServiceType = (typeof SERVICE_TYPES)[number];
type Types = readonly ServiceType[];

/** HTTP is spoken on them. */
export const HTTP_TYPES: Types = ['rest', 'http'];
/** A consumer connects to an address. */
export const NETWORKED: Types = ['tcp', 'http'];
/** They are about a device. */
export const DEVICES: Types = ['drm', 'input'];

/** Whether it is one of these; a type that nobody knows is none. */
export function isOneOf(types: Types, type: string | undefined): boolean {
  return types.some((one) => one === type);
}

export type SocketMode = 'stream' | 'seqpacket' | 'dgram';

/** What a client may do with a device that it is given opened. */
export type DeviceAccess = 'ro' | 'rw';

/** Names that mean the host itself; their pid is 0 and they always run. */
export const EXTERNAL = 'EXTERNAL';
export const RUNTIME_PROVIDER = '_pv_';
