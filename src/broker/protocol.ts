/**
 * The records of native/protocol.h, encoded and decoded. A unit test compares the two files.
 *
 * All numbers are in the machine's byte order; both ends are always on the same machine.
 */
import { errnoName } from '../kernel/errno.js';
import { ipBytes, type SocketAddress } from '../kernel/ip-address.js';
import { LITTLE, wordAt } from '../kernel/word.js';

export const PROTOCOL_VERSION = 1;
export const PATH_MAX = 1024;
export const DATA_MAX = 65_536;
/** A container handle: the host itself, for the operations that say so. */
export const HOST = 0xffff_ffff;

export const OPS = {
  HELLO: 1,
  RUNTIME: 2,
  HOLD: 3,
  RELEASE: 4,
  LISTEN_UNIX: 5,
  CONNECT_UNIX: 6,
  PROBE_UNIX: 7,
  READ: 8,
  REMOVE: 9,
  REPLY_DGRAM: 10,
  CONNECT_BUS: 11,
  CHECK: 12,
  SEND_DGRAMS: 13,
  KEEP: 14,
  SWEEP: 15,
  FIND_NODE: 20,
  PLANT_NODE: 21,
  OPEN_NODE: 22,
  REVOKE: 23,
  READ_CARD: 24,
  LEASE_CARD: 25,
  LISTEN_TCP: 30,
  CONNECT_TCP: 31,
  PROBE_TCP: 32,
} as const;
export type Op = keyof typeof OPS;

const REQUEST_HEAD = 40;
export const REQUEST_SIZE = REQUEST_HEAD + PATH_MAX;
export const REPLY_SIZE = 32;

export interface Request {
  readonly container?: number;
  /** `SOCK_*`. */
  readonly type?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly arg?: number;
  /** Clock ticks since boot. */
  readonly stamp?: number;
  /** In place of `stamp`: the container that the carried descriptors come from. */
  readonly from?: number;
  readonly path?: string;
  /** 32-bit words in place of `path`. */
  readonly words?: readonly number[];
  /** In place of `path` and `arg`. */
  readonly address?: SocketAddress;
}

export interface Reply {
  readonly id: number;
  /** Name such as `ENOENT`; null for success. */
  readonly errno: string | null;
  readonly value: number;
  readonly stamp: number;
  readonly aux: bigint;
  readonly data: Buffer;
}

/** Null if the path has more than PATH_MAX bytes or a NUL, or if the address is invalid. */
export function encodeRequest(id: number, op: Op, request: Request): Buffer | null {
  const place = placeOf(request);
  if (!place) return null;
  const record = Buffer.alloc(REQUEST_SIZE);
  const head = wordBytes([
    id,
    OPS[op],
    request.container ?? 0,
    request.type ?? 0,
    request.uid ?? 0,
    request.gid ?? 0,
    request.address?.port ?? request.arg ?? 0,
    place.length,
  ]);
  head.copy(record);
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  view.setBigUint64(32, BigInt(request.from ?? request.stamp ?? 0), LITTLE);
  place.copy(record, REQUEST_HEAD);
  return record;
}

function wordBytes(words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(words.length * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  words.forEach((word, i) => {
    view.setUint32(i * 4, word, LITTLE);
  });
  return bytes;
}

function placeOf({ path = '', address, words }: Request): Buffer | null {
  if (address) return ipBytes(address.ip);
  const bytes = words ? wordBytes(words) : Buffer.from(path, 'utf8');
  return bytes.length > PATH_MAX || (!words && bytes.includes(0)) ? null : bytes;
}

/** Null for a record that is no reply: the channel can't be trusted any more. */
export function decodeReply(record: Buffer): Reply | null {
  if (record.length < REPLY_SIZE) return null;
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const word = (i: number) => wordAt(record, i * 4);
  if (word(3) !== record.length - REPLY_SIZE) return null;
  return {
    id: word(0),
    errno: word(1) === 0 ? null : errnoName(word(1)),
    value: word(2),
    stamp: Number(view.getBigUint64(16, LITTLE)),
    aux: view.getBigUint64(24, LITTLE),
    data: record.subarray(REPLY_SIZE),
  };
}
