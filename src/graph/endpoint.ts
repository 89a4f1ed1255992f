/**
 * Where a link begins and ends: a path, or an address. What `target` and `socket` look like decides it, not the
 * type: any provider's transport may stand behind any consumer's, and a foreign graph may not say which.
 */
import type { LinkError } from '../kernel/errors.js';
import type { SocketAddress } from '../kernel/ip-address.js';
import { parseAddress } from '../manifest/address.js';
import { isNetworked } from '../manifest/target.js';
import { DEVICES, isOneOf } from '../manifest/vocabulary.js';
import type { Link } from './link.js';

/** A path inside a container, or an address in its network namespace. */
export type Endpoint = { readonly path: string } | { readonly address: SocketAddress };

/** Of a link's `target` or `socket`. What is neither is taken for a path, and fails as one. */
export function endpointOf(text: string): Endpoint {
  const address = text.startsWith('/') ? 'path' : parseAddress(text);
  if (typeof address === 'string') return { path: text };
  return { address: { ip: address.ip, port: address.port } };
}

/** What an `IP:PORT/PREFIX` has behind its port, without the slash at its end; empty: everything. */
export function prefixOf(target: string): string {
  const address = parseAddress(target);
  return typeof address === 'string' ? '' : address.prefix;
}

/** What `XDG_RUNTIME_DIR=/run` and no WAYLAND_DISPLAY make a client look for. */
const WAYLAND_TARGET = '/run/wayland-0';

/** What these types are about is a device, at a path that may be its node's. */
export function isDevice(type: string): boolean {
  return isOneOf(DEVICES, type);
}

/** Where a link appears unless told otherwise; undefined where there is no such place. */
export function defaultTarget(
  name: string,
  type: string,
  socket: string | undefined,
): string | undefined {
  if (isNetworked(type)) return undefined;
  if (isDevice(type) && socket !== undefined) return socket;
  return type === 'wayland' ? WAYLAND_TARGET : `/run/pv/services/${name}.sock`;
}

/** sun_path holds 108 bytes, the NUL at its end among them (unix(7)): no program can name a longer one. */
export const MAX_SOCKET_PATH = 107;

/** What is wrong with a target. */
export interface TargetFault {
  readonly found: string;
  readonly expected: string;
}

/** Nobody could connect to it; null: they could, or (the node of a device) it is no socket. */
export function beyondReach(
  target: string,
  type: string,
  device: Link['device'],
): TargetFault | null {
  if (isDevice(type) && device !== 'fd') return null;
  const bytes = target.startsWith('/') ? Buffer.byteLength(target) : 0;
  if (bytes <= MAX_SOCKET_PATH) return null;
  const expected = `at most ${MAX_SOCKET_PATH}, which is what a program can connect to`;
  return { found: `a target of ${bytes} bytes`, expected };
}

export function targetError({ found, expected }: TargetFault): LinkError {
  return { code: 'target-invalid', message: `Found ${found}, expected ${expected}.` };
}
