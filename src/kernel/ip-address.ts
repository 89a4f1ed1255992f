/**
 * IP addresses as the kernel has them: 4 or 16 bytes. Pure; what is no address is null.
 */
import { isIPv4, isIPv6 } from 'node:net';

/** An end of a TCP connection. `ip` as text, IPv6 without brackets. */
export interface SocketAddress {
  readonly ip: string;
  readonly port: number;
}

/** In network byte order. A zone (`%eth0`) is not accepted, as no byte of an address stands for it. */
export function ipBytes(ip: string): Buffer | null {
  if (isIPv4(ip)) return Buffer.from(ip.split('.').map(Number));
  if (!isIPv6(ip) || ip.includes('%')) return null;
  const [head = '', tail] = ip.split('::');
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  return Buffer.from([...before, ...zeros, ...after].flatMap((word) => [word >> 8, word & 0xff]));
}

/** Is it an address, without a zone? */
export function isAddress(ip: string): boolean {
  return ipBytes(ip) !== null;
}

/** The text of 4 bytes, or (`family` 6) of 16. */
export function ipText(family: number, bytes: Buffer): string {
  if (family === 4) return [...bytes.subarray(0, 4)].join('.');
  const words = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return shortened(words.join(':'));
}

/** The canonical text of an IPv6 address. */
export function shortened(ip: string): string {
  return new URL(`http://[${ip}]`).hostname.slice(1, -1);
}

/** `IP:PORT`, as a program is told to connect to. */
export function addressText({ ip, port }: SocketAddress): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** 16-bit words of `fe80:1` or of `ffff:192.0.2.1`. */
function groups(text: string): number[] {
  return text.split(':').flatMap((group) => {
    if (group === '') return [];
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

/** Every address whose first `bits` bits are those of `ip`. */
export interface Cidr {
  readonly ip: string;
  readonly bits: number;
}

/** `IP/LENGTH`, or `IP` for that one address. */
export function parseCidr(text: string): Cidr | null {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const length = ipBytes(match?.[1] ?? '')?.length;
  if (!match?.[1] || length === undefined) return null;
  const bits = match[2] === undefined ? length * 8 : Number(match[2]);
  return bits <= length * 8 ? { ip: match[1], bits } : null;
}
