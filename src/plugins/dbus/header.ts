/**
 * Reads the header of a message in place (D-Bus specification, "Message Protocol"), in either byte order. Pure. For a
 * header that is broken, a sentence says why; its connection has to end, since it is unknown where the next one begins.
 *
 * It is stricter than the specification in one respect: no field may come twice, since two readers might each take
 * another one of them.
 */
import { wordAt } from '../../kernel/word.js';
import { isBusName, isInterface, isMember, isPath } from './names.js';
import { isSignature, MAX_ARRAY, Skipper } from './signature.js';

export const MessageType = { call: 1, reply: 2, error: 3, signal: 4 } as const;
export const Flag = { noReply: 1, noAutoStart: 2 } as const;

/** Bytes of the part of a header that every message has. */
export const FIXED_LENGTH = 16;
export const MAX_MESSAGE = 128 * 1024 * 1024;

export interface Frame {
  readonly little: boolean;
  /** Bytes of the fields. */
  readonly fields: number;
  /** Bytes of all that comes before the body. */
  readonly header: number;
  /** Bytes of the message. */
  readonly total: number;
}

/**
 * A message of a type that is unknown is legal, and is to be ignored. This is a class so that all headers have the same
 * shape in V8: one is made for each message.
 */
class HeaderFields {
  readonly type: number;
  readonly flags: number;
  readonly serial: number;
  readonly little: boolean;
  path: string | undefined = undefined;
  interface: string | undefined = undefined;
  member: string | undefined = undefined;
  errorName: string | undefined = undefined;
  replySerial: number | undefined = undefined;
  destination: string | undefined = undefined;
  sender: string | undefined = undefined;
  signature = '';
  /** How many descriptors go with it. */
  fds = 0;

  constructor(type: number, flags: number, serial: number, little: boolean) {
    this.type = type;
    this.flags = flags;
    this.serial = serial;
    this.little = little;
  }
}

export type Header = Readonly<HeaderFields>;

interface Field {
  readonly name: keyof Header;
  readonly code: 's' | 'o' | 'g' | 'u';
  readonly isValid: (value: string) => boolean;
}

const REPLY_SERIAL = 5;
const anything = () => true;
/** Indexed by their code. */
const FIELDS: readonly (Field | undefined)[] = [
  undefined,
  { name: 'path', code: 'o', isValid: isPath },
  { name: 'interface', code: 's', isValid: isInterface },
  { name: 'member', code: 's', isValid: isMember },
  { name: 'errorName', code: 's', isValid: isInterface },
  { name: 'replySerial', code: 'u', isValid: anything },
  { name: 'destination', code: 's', isValid: isBusName },
  { name: 'sender', code: 's', isValid: isBusName },
  { name: 'signature', code: 'g', isValid: isSignature },
  { name: 'fds', code: 'u', isValid: anything },
];
/** Fields that a message must have, indexed by its type. */
const REQUIRED: readonly (readonly (keyof Header)[])[] = [
  [],
  ['path', 'member'],
  ['replySerial'],
  ['errorName', 'replySerial'],
  ['path', 'interface', 'member'],
];

/** Whether the message is a call whose sender expects an answer. */
export function wantsReply({ type, flags }: Header): boolean {
  return type === MessageType.call && (flags & Flag.noReply) === 0;
}

/** The lengths of the message that begins at `at`, of which 16 bytes are there; or what is wrong. */
export function readFrame(bytes: Buffer, at: number): Frame | string {
  const order = bytes[at];
  const little = order === 0x6c;
  if (!little && order !== 0x42) return 'A message began with no byte order.';
  if (bytes[at + 3] !== 1) return 'A message was not of protocol version 1.';
  const body = wordAt(bytes, at + 4, little);
  const fields = wordAt(bytes, at + 12, little);
  if (fields > MAX_ARRAY) return 'A header had more than 64 MiB of fields.';
  const header = (FIXED_LENGTH + fields + 7) & -8;
  const total = header + body;
  if (total > MAX_MESSAGE) return 'A message was longer than 128 MiB.';
  return { little, fields, header, total };
}

/** The header that begins at `at`, all of which is there; or what is wrong. */
export function readHeader(bytes: Buffer, at: number, frame: Frame): Header | string {
  const { little } = frame;
  const serial = wordAt(bytes, at + 8, little);
  const header = new HeaderFields(bytes[at + 1] as number, bytes[at + 2] as number, serial, little);
  return readFields(bytes, at, frame, header) ?? findFault(header, frame) ?? header;
}

const BROKEN = 'A header field was broken.';

function readFields(
  bytes: Buffer,
  at: number,
  { little, fields, header: headerLength }: Frame,
  header: HeaderFields,
): string | null {
  const start = at + FIXED_LENGTH;
  const end = start + fields;
  let seen = 0;
  let position = start;
  while (position < end) {
    const padding = (start - position) & 7;
    if (!isZero(bytes, position, position + padding)) return BROKEN;
    position += padding;
    if (position + 4 > end) return BROKEN;
    const number = bytes[position] as number;
    if (number === 0) return BROKEN;
    const field = FIELDS[number];
    if (!field) {
      position = behindUnknown(bytes, at, position, end, little);
      if (position < 0) return BROKEN;
      continue;
    }
    if (seen & (1 << number)) return `The header field "${field.name}" came twice.`;
    seen |= 1 << number;
    const isTyped = bytes[position + 1] === 1 && bytes[position + 3] === 0;
    if (!isTyped || bytes[position + 2] !== field.code.charCodeAt(0)) return BROKEN;
    position += 4;
    let length: number;
    if (field.code === 'g') {
      length = bytes[position++] as number;
    } else {
      if (position + 4 > end) return BROKEN;
      length = wordAt(bytes, position, little);
      position += 4;
      if (field.code === 'u') {
        if (number === REPLY_SERIAL) header.replySerial = length;
        else header.fds = length;
        continue;
      }
    }
    if (position + length >= end || bytes[position + length] !== 0) return BROKEN;
    const text = bytes.toString('latin1', position, position + length);
    if (!field.isValid(text)) return `The header field "${field.name}" was not valid.`;
    setText(header, number, text);
    position += length + 1;
  }
  return position === end && isZero(bytes, end, at + headerLength) ? null : BROKEN;
}

function setText(header: HeaderFields, number: number, text: string): void {
  if (number === 1) header.path = text;
  else if (number === 2) header.interface = text;
  else if (number === 3) header.member = text;
  else if (number === 4) header.errorName = text;
  else if (number === 6) header.destination = text;
  else if (number === 7) header.sender = text;
  else header.signature = text;
}

/** The position behind a field that is unknown. Alignment counts from `at`, where the message begins. */
function behindUnknown(
  bytes: Buffer,
  at: number,
  position: number,
  end: number,
  little: boolean,
): number {
  const behind = new Skipper(bytes.subarray(at), end - at, little).skip(position + 1 - at, 'v');
  return behind < 0 ? behind : at + behind;
}

function findFault(header: Header, { header: length, total }: Frame): string | null {
  const { type, serial, replySerial, signature } = header;
  if (type === 0) return 'A message was of type 0.';
  if (serial === 0 || replySerial === 0) return 'A message had a serial of 0.';
  const missing = REQUIRED[type]?.find((name) => header[name] === undefined);
  if (missing !== undefined) return `A message had no "${missing}".`;
  if (signature === '' && total > length) return 'A message had a body and no signature.';
  return null;
}

function isZero(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}
