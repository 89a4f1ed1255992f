/** Writes our own messages: calls of the bus, and answers in its place. Little-endian. Pure. */
import { type BodyValue, writeBody } from './body.js';
import { FIXED_LENGTH, Flag, type Header, MessageType } from './header.js';

export const BUS = 'org.freedesktop.DBus';
export const BUS_PATH = '/org/freedesktop/DBus';

type MessageFields = Partial<Omit<Header, 'little' | 'signature' | 'fds'>> &
  Pick<Header, 'type' | 'serial'>;

/** Name, code and type of the header fields that we write. */
const FIELDS = [
  ['path', 1, 'o'],
  ['interface', 2, 's'],
  ['member', 3, 's'],
  ['errorName', 4, 's'],
  ['replySerial', 5, 'u'],
  ['destination', 6, 's'],
  ['sender', 7, 's'],
] as const;

export function writeMessage(fields: MessageFields, values: readonly BodyValue[] = []): Buffer {
  const body = writeBody(values);
  const parts = FIELDS.flatMap(([name, code, type]) => {
    const value = fields[name];
    return value === undefined ? [] : [field(code, type, value)];
  });
  if (body.signature !== '') parts.push(field(8, 'g', body.signature));
  const last = parts.pop() ?? Buffer.alloc(0);
  const all = Buffer.concat([...parts.map(padded), last]);
  const fixed = Buffer.alloc(FIXED_LENGTH);
  fixed.set([0x6c, fields.type, fields.flags ?? 0, 1]);
  fixed.writeUInt32LE(body.bytes.length, 4);
  fixed.writeUInt32LE(fields.serial, 8);
  fixed.writeUInt32LE(all.length, 12);
  return Buffer.concat([fixed, padded(all), body.bytes]);
}

/** A call of a method of the bus itself. */
export function busCall(serial: number, member: string, values: readonly BodyValue[]): Buffer {
  return writeMessage(
    { ...CALL, serial, member, path: BUS_PATH, interface: BUS, destination: BUS },
    values,
  );
}

const CALL = { type: MessageType.call };
const ANSWER = { flags: Flag.noReply, sender: BUS };

/** Which call is answered, and (once it has one) the caller's unique name. */
export interface Addressed {
  readonly serial: number;
  readonly replySerial: number;
  readonly destination?: string;
}

/** An answer as the bus itself would send it. */
export function reply(to: Addressed, values: readonly BodyValue[]): Buffer {
  return writeMessage({ ...ANSWER, ...to, type: MessageType.reply }, values);
}

export function errorReply(to: Addressed, errorName: string, message: string): Buffer {
  return writeMessage({ ...ANSWER, ...to, type: MessageType.error, errorName }, [message]);
}

function field(code: number, type: 'o' | 's' | 'g' | 'u', value: string | number): Buffer {
  const head = Buffer.from([code, 1, type.charCodeAt(0), 0]);
  if (type === 'g') {
    return Buffer.concat([head, Buffer.from([String(value).length]), Buffer.from(`${value}\0`)]);
  }
  const word = Buffer.alloc(4);
  if (typeof value === 'number') {
    word.writeUInt32LE(value);
    return Buffer.concat([head, word]);
  }
  word.writeUInt32LE(Buffer.byteLength(value));
  return Buffer.concat([head, word, Buffer.from(`${value}\0`)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 7)]);
}
