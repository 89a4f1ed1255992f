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

export type SocketMode = 'stream' | 'seqpacket' | 'dgram';

/** What a client may do with a device that it is given opened. */
export type DeviceAccess = 'ro' | 'rw';

/** Names that mean the host itself; their pid is 0 and they always run. */
export const EXTERNAL = 'EXTERNAL';
export const RUNTIME_PROVIDER = '_pv_';
