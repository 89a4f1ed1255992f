/** An HTTP/2 client that sends any bytes for frames, and says what came of it (RFC 9113). */
import type { Duplex } from 'node:stream';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const PRIORITIZED = 32;

const CODES = [
  ...['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT'],
  ...['STREAM_CLOSED', 'FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR'],
  ...['CONNECT_ERROR', 'ENHANCE_YOUR_CALM'],
];
/** Of an answer's head that begins with a status of HPACK's static table. */
const STATUSES: Readonly<Record<number, number>> = {
  136: 200,
  137: 204,
  139: 304,
  140: 400,
  141: 404,
  142: 500,
};

export type Bytes = Buffer | readonly number[] | string;

export const bytes = (...parts: Bytes[]): Buffer =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part),
    ),
  );

export function frame(type: number, flags: number, stream: number, payload: Bytes = []): Buffer {
  const body = bytes(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

export const uint32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value >>> 0);
  return buffer;
};

export const setting = (id: number, value: number): Buffer =>
  bytes([id >> 8, id & 255], uint32(value));

/** A string of HPACK's, its bytes as they are. */
export const text = (value: string): Buffer => bytes(integer(value.length, 0, 7), value);

/** Fields as HPACK's literals that are not indexed. */
export function block(...fields: readonly (readonly [string, string])[]): Buffer {
  return bytes(...fields.flatMap(([name, value]) => [[0], text(name), text(value)]));
}

/** RFC 7541, 5.1. */
export function integer(value: number, first: number, bits: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return bytes([first | value]);
  const all = [first | most];
  let left = value - most;
  for (; left >= 128; left = Math.floor(left / 128)) all.push((left % 128) | 128);
  return bytes([...all, left]);
}

export const REQUEST: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/'],
  [':authority', 'a'],
];
export const POST: readonly (readonly [string, string])[] = [
  [':method', 'POST'],
  ...REQUEST.slice(1),
];

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** What was heard, in words; `closed` at last where the connection ended. */
export class Http2Client {
  readonly heard: string[] = [];
  onHeard: () => void = () => undefined;
  readonly #duplex: Duplex;
  #held = Buffer.alloc(0);

  constructor(duplex: Duplex) {
    this.#duplex = duplex;
    duplex.on('error', () => undefined);
    duplex.on('data', (chunk: Buffer) => this.#read(chunk));
    duplex.on('end', () => duplex.end());
    duplex.on('close', () => this.#say('closed'));
  }

  send(...parts: Bytes[]): void {
    this.#duplex.write(bytes(...parts));
  }

  close(): void {
    this.#duplex.destroy();
  }

  #read(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= 9) {
      const to = 9 + this.#held.readUIntBE(0, 3);
      if (this.#held.length < to) return;
      const [type, flags] = [this.#held[3] as number, this.#held[4] as number];
      const found = {
        type,
        flags,
        stream: this.#held.readUInt32BE(5),
        payload: this.#held.subarray(9, to),
      };
      this.#held = this.#held.subarray(to);
      this.#say(wordsFor(found));
    }
  }

  #say(words: string): void {
    if (words === '') return;
    this.heard.push(words);
    this.onHeard();
  }
}

/** Empty for what goes without saying. */
function wordsFor({ type, flags, stream, payload }: Frame): string {
  if (type === GOAWAY) return `GOAWAY ${CODES[payload.readUInt32BE(4)]}`;
  if (type === RST_STREAM) return `RST_STREAM ${stream} ${CODES[payload.readUInt32BE(0)]}`;
  if (type === HEADERS) return `answer ${stream} ${STATUSES[payload[0] as number] ?? '?'}`;
  if (type === PING && flags & ACK) return `PING ${payload.toString('latin1')}`;
  return '';
}
