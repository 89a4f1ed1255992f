/**
 * The records of native/relay-protocol.h, encoded and decoded. A unit test compares the two files.
 *
 * All numbers are in the machine's byte order; both ends are always on the same machine.
 */
import { BOUNDS_MS } from '../kernel/durations.js';
import { ipText, type SocketAddress } from '../kernel/ip-address.js';
import { LITTLE, wordAt } from '../kernel/word.js';

export const RELAY_VERSION = 2;
/** Numbers of links are below it. */
export const LINKS_MAX = 16_384;
/** Bytes of a link's note. */
export const NOTE_MAX = 16_384;
/** Bytes of a connection's label. */
export const LABEL_MAX = 256;
/** Bytes of data behind a command. */
export const COMMAND_DATA_MAX = 65_536;

export const OPS = {
  HELLO: 1,
  LINK: 2,
  LISTEN: 3,
  RETARGET: 4,
  RESOLVE: 5,
  STOP: 6,
  CLOSE: 7,
  NOTE: 8,
  OWED: 9,
  JOIN: 10,
  TRANSFER: 11,
  CANCEL: 12,
  LED: 13,
  COUNTED: 14,
  LIST: 15,
  WATCH: 16,
  TAP: 17,
  UNTAP: 18,
  FAULT: 19,
} as const;

export const EVENTS = {
  BORN: 1,
  WELCOME: 2,
  STANDING: 3,
  COMPLETE: 4,
  PENDING: 5,
  HANDED: 6,
  UPSTREAM: 7,
  FULL: 8,
  STOPPED: 9,
  GONE: 10,
  MOVED: 11,
  LED: 12,
  BROKER: 13,
  LISTED: 14,
  ENDED: 15,
  UNTAPPED: 16,
} as const;
export type EventType = keyof typeof EVENTS;

/** What becomes of a client that a link accepts. */
export const ACCEPT_MODES = { forward: 0, ask: 1, hand: 2 } as const;
export const LINK_FLAGS = { FDS: 1, LIMITED: 2, PROXY_1: 4, PROXY_2: 8 } as const;
export const FAULT_FLAGS = { REFUSE: 1 } as const;
export const TRANSFER_FLAGS = { TO_PROVIDER: 1, END: 2 } as const;
export const STANDING_FLAGS = { LISTENS: 1, DRAINS: 2 } as const;

/** Why connections end, as `enum pvx_reason` numbers it. */
export const CLOSES = [
  'eof',
  'reset',
  'no-provider',
  'refused',
  'detached',
  'truncated',
  'not-allowed',
  'error',
] as const;

/** A link's counters by their place: 64-bit numbers one after the other; the JOINs that `active` has, too, are the last. */
export const COUNTERS = {
  active: 0,
  total: 1,
  toProvider: 2,
  toConsumer: 3,
  closes: 4,
  links: 15,
  joins: 16,
} as const;
export const COUNTERS_LENGTH = 17;

/** struct pvx_times: a count for each bound and one for the rest, and the sum. */
export const TIMES_LENGTH = BOUNDS_MS.length + 2;
export const HELLO_FLAGS = { TIMES: 1 } as const;

export const COMMAND_SIZE = 48;
export const EVENT_SIZE = 32;
export const OPEN_SIZE = 72;
export const TAPPED_SIZE = 32;

/** The fields of a command; what is absent is 0, or empty. */
export interface Command {
  readonly op: keyof typeof OPS;
  readonly link?: number;
  readonly conn?: number;
  readonly mode?: number;
  readonly flags?: number;
  readonly ms?: number;
  readonly most?: number;
  readonly other?: number;
  /** Infinity: as many as there are. */
  readonly bytes?: number;
  /** For the broker, as broker/protocol.ts lays it out. */
  readonly request?: Buffer | null;
  /** At most COMMAND_DATA_MAX bytes. */
  readonly data?: Buffer;
}

export interface RelayEvent {
  readonly type: EventType;
  readonly link: number;
  readonly conn: number;
  readonly error: number;
  readonly bytes: number;
  /** The next of the record's descriptors is this event's. */
  readonly hasFd: boolean;
  /** A part of the record. */
  readonly data: Buffer;
}

const NOTHING = Buffer.alloc(0);
const WORD = 2 ** 32;
const words = new Uint32Array(COMMAND_SIZE / 4);
const head = Buffer.from(words.buffer);
const [LOW, HIGH] = LITTLE ? [0, 1] : [1, 0];

const EVENT_NAMES = new Map(
  Object.entries(EVENTS).map(([name, type]) => [type as number, name as EventType]),
);

export function encodeCommand(command: Command): Buffer {
  const { bytes = 0, request, data = NOTHING } = command;
  words[0] = OPS[command.op];
  words[1] = command.link ?? 0;
  words[2] = command.conn ?? 0;
  words[3] = command.mode ?? 0;
  words[4] = command.flags ?? 0;
  words[5] = command.ms ?? 0;
  words[6] = command.most ?? 0;
  words[7] = command.other ?? 0;
  const isAll = bytes >= Number.MAX_SAFE_INTEGER;
  words[8 + LOW] = isAll ? WORD - 1 : bytes % WORD;
  words[8 + HIGH] = isAll ? WORD - 1 : bytes / WORD;
  words[10] = request?.length ?? 0;
  words[11] = data.length;
  return Buffer.concat(request ? [head, request, data] : [head, data]);
}

/** Null for a record that has none, or something else: the relay can't be trusted any more. */
export function decodeEvents(record: Buffer): RelayEvent[] | null {
  const events: RelayEvent[] = [];
  let at = 0;
  while (at < record.length) {
    if (record.length - at < EVENT_SIZE) return null;
    const word = (i: number) => wordAt(record, at + i * 4);
    const type = EVENT_NAMES.get(word(0));
    const [nfds, length] = [word(6), word(7)];
    const end = at + EVENT_SIZE + length;
    if (type === undefined || nfds > 1 || end > record.length) return null;
    events.push({
      type,
      link: word(1),
      conn: word(2),
      error: word(3),
      bytes: longAt(record, at + 16),
      hasFd: nfds === 1,
      data: length === 0 ? NOTHING : record.subarray(at + EVENT_SIZE, end),
    });
    at = end;
  }
  return events.length === 0 ? null : events;
}

/** A connection as `struct pvx_open` has it. */
export interface OpenRecord {
  readonly conn: number;
  readonly joined: boolean;
  /** Of who connected; 0: nobody that we could know. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Where it came from, if that is an IP address. */
  readonly remote: SocketAddress | null;
  /** CLOCK_MONOTONIC, in milliseconds. */
  readonly since: number;
  readonly toProvider: number;
  readonly toConsumer: number;
  readonly label: string;
}

/** Those of a LISTED or an ENDED. What is none ends the list: its end is missing then, and nobody is harmed. */
export function decodeOpen(data: Buffer): OpenRecord[] {
  const all: OpenRecord[] = [];
  let at = 0;
  while (data.length - at >= OPEN_SIZE) {
    const word = (i: number) => wordAt(data, at + i * 4);
    const long = (i: number) => longAt(data, at + i * 4);
    const [family, port, length] = [word(5), word(6), word(7)];
    const end = at + OPEN_SIZE + length;
    if (end > data.length) break;
    const address = data.subarray(at + OPEN_SIZE - 16, at + OPEN_SIZE);
    all.push({
      conn: word(0),
      joined: word(1) !== 0,
      pid: word(2),
      uid: word(3),
      gid: word(4),
      remote: family === 0 ? null : { ip: ipText(family, address), port },
      since: long(8),
      toProvider: long(10),
      toConsumer: long(12),
      label: data.toString('utf8', at + OPEN_SIZE, end),
    });
    at = end;
  }
  return all;
}

/** What a tap says, as `struct pvx_tapped` has it. */
export interface TappedRecord {
  /** Number of the connection, or of the transfer. */
  readonly conn: number;
  readonly toConsumer: boolean;
  /** Descriptors that went with the bytes. */
  readonly fds: number;
  /** Microseconds since 1970. */
  readonly time: number;
  /** Bytes of the link that were left out before these. */
  readonly dropped: number;
  readonly bytes: Buffer;
}

/** Null: it is none. */
export function decodeTapped(record: Buffer): TappedRecord | null {
  if (record.length < TAPPED_SIZE) return null;
  const word = (i: number) => wordAt(record, i * 4);
  const [conn, toConsumer, fds, length] = [word(0), word(1), word(2), word(3)];
  if (record.length !== TAPPED_SIZE + length) return null;
  const bytes = record.subarray(TAPPED_SIZE);
  return {
    conn,
    toConsumer: toConsumer !== 0,
    fds,
    time: longAt(record, 16),
    dropped: longAt(record, 24),
    bytes,
  };
}

/** A 64-bit number. */
function longAt(bytes: Buffer, offset: number): number {
  return wordAt(bytes, offset + LOW * 4) + wordAt(bytes, offset + HIGH * 4) * WORD;
}
