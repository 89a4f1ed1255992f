/**
 * What a tap shows, as a file for Wireshark: pcapng (draft-ietf-opsawg-pcapng), with two interfaces. Messages of D-Bus
 * have the link type of their own (LINKTYPE_DBUS); anything else has LINKTYPE_USER0 and a header of HEADER bytes
 * (docs/seeing.md). Pure.
 */
import type { Shown } from './decoding.js';

const SECTION = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
const INTERFACE = 1;
const ENHANCED_PACKET = 6;
const LINKTYPE_DBUS = 231;
const LINKTYPE_USER0 = 147;
const [OPTION_COMMENT, OPTION_NAME, OPTION_FLAGS] = [1, 2, 2];
/** Of OPTION_FLAGS: as the consumer has it. */
const INBOUND = 1;
const OUTBOUND = 2;
/** Bytes of a packet at most; larger ones are cut, and say so. */
const MAX_PACKET = 512 * 1024;
/** Ours: its version, 1; 0 to the provider, 1 to the consumer; descriptors (2); the two parts of the connection (4, 4). */
const HEADER = 12;
/** As the first part of a connection to a provider of HTTP. */
const PROVIDERS = 0xffff_ffff;

/** What a file begins with. `name`: of the link. */
export function pcapBegin(name: string): Buffer {
  const section = Buffer.alloc(16);
  section.writeUInt32LE(BYTE_ORDER, 0);
  section.writeUInt16LE(1, 4);
  section.writeBigInt64LE(-1n, 8); // the length of the section, which is not known
  return Buffer.concat([
    block(SECTION, [section]),
    interfaceBlock(LINKTYPE_DBUS, `${name}: D-Bus`),
    interfaceBlock(LINKTYPE_USER0, name),
  ]);
}

/** One packet. `lost`: bytes of the link that were left out before it. */
export function pcapPacket({ connection, to, time, fds, piece }: Shown, lost = 0): Buffer {
  const isMessage = piece.kind === 'message';
  const head = isMessage ? Buffer.alloc(0) : headerOf(connection, to, fds);
  const data = Buffer.concat([head, piece.bytes]);
  const whole = isMessage ? piece.length : data.length;
  const fixed = Buffer.alloc(20);
  fixed.writeUInt32LE(isMessage ? 0 : 1, 0);
  fixed.writeUInt32LE(Math.floor(time / 2 ** 32), 4);
  fixed.writeUInt32LE(time % 2 ** 32, 8);
  fixed.writeUInt32LE(data.length, 12);
  fixed.writeUInt32LE(whole, 16);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(to === 'consumer' ? INBOUND : OUTBOUND);
  const comment = [
    `connection ${connection}`,
    ...(fds > 0 ? [`descriptors: ${fds}`] : []),
    ...(lost > 0 ? [`${lost} bytes were left out before this`] : []),
  ].join(', ');
  const options = [
    option(OPTION_COMMENT, Buffer.from(comment)),
    option(OPTION_FLAGS, flags),
    option(0, Buffer.alloc(0)),
  ];
  return block(ENHANCED_PACKET, [fixed, padded(data), ...options]);
}

function headerOf(connection: string, to: Shown['to'], fds: number): Buffer {
  const [part = '', number = ''] = connection.split('.');
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(1, 0);
  header.writeUInt8(to === 'consumer' ? 1 : 0, 1);
  header.writeUInt16BE(fds, 2);
  header.writeUInt32BE(part === 'p' ? PROVIDERS : Number(part) >>> 0, 4);
  header.writeUInt32BE(Number(number) >>> 0, 8);
  return header;
}

function interfaceBlock(linkType: number, name: string): Buffer {
  const fixed = Buffer.alloc(8);
  fixed.writeUInt16LE(linkType, 0);
  fixed.writeUInt32LE(MAX_PACKET, 4);
  return block(INTERFACE, [
    fixed,
    option(OPTION_NAME, Buffer.from(name)),
    option(0, Buffer.alloc(0)),
  ]);
}

function option(code: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(code, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, padded(value)]);
}

function block(type: number, parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 12);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(length, 4);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(length);
  return Buffer.concat([head, ...parts, tail]);
}

function padded(bytes: Buffer): Buffer {
  const rest = bytes.length % 4;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - rest)]);
}
