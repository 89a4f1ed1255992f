/** What a tap shows, as text for people and as JSON. */
import { printable } from '../kernel/printable.js';
import { type Header, MessageType } from '../plugins/dbus/header.js';
import type { Piece } from './decoder.js';
import type { Shown } from './decoding.js';
import { hexDump } from './hex-dump.js';

const ARROWS = { provider: '→', consumer: '←' } as const;

/** With a newline behind each line; nothing in it moves a terminal's cursor. */
export function shownText(shown: Shown): string {
  const { connection, to, fds, piece } = shown;
  const descriptors = fds === 0 ? '' : `, descriptors: ${fds}`;
  const begin = `${timeText(shown.time)} ${connection} ${ARROWS[to]}`;
  const [first = '', ...more] = [...textOf(piece)];
  return [`${begin} ${first}${descriptors}`, ...more]
    .map((line) => `${printable(line)}\n`)
    .join('');
}

function textOf(piece: Piece): readonly string[] {
  switch (piece.kind) {
    case 'bytes':
      return [`bytes: ${piece.bytes.length}`, ...hexDump(piece.bytes)];
    case 'lines':
      return [piece.lines[0] ?? '', ...piece.lines.slice(1).map((line) => `  ${line}`)];
    case 'message':
      return [messageText(piece.header, piece.length)];
  }
}

/** A message in one line. */
export function messageText(header: Header, length: number): string {
  const { sender, destination, path, serial, signature } = header;
  const about = [
    whatOf(header),
    ...(path === undefined ? [] : [`at ${path}`]),
    ...(sender === undefined ? [] : [`from ${sender}`]),
    ...(destination === undefined ? [] : [`to ${destination}`]),
  ].join(' ');
  const body = signature === '' ? '' : `, "${signature}"`;
  return `${about}, serial ${serial}${body}, bytes: ${length}`;
}

function whatOf({ type, interface: name, member, errorName, replySerial }: Header): string {
  const full = name === undefined ? member : `${name}.${member}`;
  switch (type) {
    case MessageType.call:
      return `call ${full}`;
    case MessageType.signal:
      return `signal ${full}`;
    case MessageType.reply:
      return `reply ${replySerial}`;
    case MessageType.error:
      return `error ${replySerial} ${errorName}`;
    default:
      return `message of type ${type}`;
  }
}

/** ISO 8601, UTC, with microseconds. */
export function timeText(microseconds: number): string {
  const whole = new Date(microseconds / 1_000).toISOString().slice(0, -1);
  return `${whole}${String(Math.floor(microseconds % 1_000)).padStart(3, '0')}Z`;
}

/** A line of JSON, with its newline. */
export function shownJson({ piece, time, ...about }: Shown): string {
  const { kind, bytes } = piece;
  const text =
    piece.kind === 'lines'
      ? { lines: piece.lines }
      : piece.kind === 'message'
        ? { text: messageText(piece.header, piece.length), length: piece.length }
        : {};
  const whole = { time: timeText(time), ...about, kind, ...text, bytes: bytes.toString('base64') };
  return `${JSON.stringify(whole)}\n`;
}
