/**
 * `IP:PORT[/PREFIX]`, the targets of tcp and http, and whether two of them can be had at once.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { posix } from 'node:path';
import { parseCidr, shortened } from '../kernel/ip-address.js';
import { isClean } from './text.js';

export const MAX_PORT = 65_535;

export interface Address {
  /** Canonical: `0.0.0.0`, `::1` without brackets. */
  readonly ip: string;
  readonly port: number;
  /** Without the slash at its end; empty: everything. */
  readonly prefix: string;
}

export type AddressFault = 'address' | 'port' | 'prefix';

/** Never throws; a fault says which part is wrong. */
export function parseAddress(text: string): Address | AddressFault {
  const match = /^(?:\[([^\]]*)\]|([^:/[\]]*)):(\d+)(\/.*)?$/su.exec(text);
  if (!match) return 'address';
  const [, six, four, digits, rest = ''] = match;
  const ip = six === undefined ? four : six;
  if (ip === undefined || !(six === undefined ? isIPv4(ip) : isIPv6(ip) && !ip.includes('%'))) {
    return 'address';
  }
  const port = Number(digits);
  if (port < 1 || port > MAX_PORT) return 'port';
  if (!isPrefix(rest)) return 'prefix';
  return { ip: canonical(ip), port, prefix: rest.replace(/\/+$/, '') };
}

/** Looks like an address rather than a path: for choosing which of the two a complaint is about. */
export function looksLikeAddress(text: string): boolean {
  return !text.startsWith('/') && text.includes(':');
}

/** A listener on it has the port on every address of its family (ip(7)). */
export function isWildcard(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::';
}

function isPrefix(text: string): boolean {
  if (!isClean(text) || /[?#\s\\]/u.test(text)) return false;
  return text === '' || posix.normalize(text) === text;
}

function canonical(ip: string): string {
  return isIPv6(ip) ? shortened(ip) : ip;
}

/** `IP/LENGTH`, the length within what the family has. */
export function isCidr(text: string): boolean {
  return text.includes('/') && parseCidr(text) !== null;
}

/** `IP/LENGTH`, or an `IP` alone. */
export function isNetwork(text: string): boolean {
  return parseCidr(text) !== null;
}
