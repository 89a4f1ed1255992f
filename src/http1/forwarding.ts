/**
 * Heads as they are passed on: the lines that are kept are copied as they stand, the others are left out, and our own
 * are added behind them. Writes to a ByteWriter and has no other effect.
 */
import { type Body, CHUNKED, TO_THE_END } from './body-reader.js';
import type { ByteWriter } from './byte-writer.js';
import { currentDate, dateLine } from './date.js';
import type { Fields } from './fields.js';
import { SLASH } from './grammar.js';
import {
  CONNECTION,
  CONTENT_LENGTH,
  DATE,
  DISGUISED,
  DROPPED,
  FORWARDED,
  HOP,
  IDENTITY,
  IDS,
  KEEP_ALIVE,
  MAX_FORWARDS,
  OVERRIDE,
  TE,
  TRANSFER_ENCODING,
  UPGRADE,
} from './names.js';
import type { RequestHead } from './request-head.js';
import type { ResponseHead } from './response-head.js';

const CRLF = Buffer.from('\r\n');
const CHUNKED_LINE = Buffer.from('Transfer-Encoding: chunked\r\n');
const UPGRADE_LINE = Buffer.from('Connection: Upgrade\r\n');
const TE_LINES = Buffer.from('TE: trailers\r\nConnection: TE\r\n');
const CLOSE_LINE = Buffer.from('Connection: close\r\n');
const KEEP_ALIVE_LINE = Buffer.from('Connection: keep-alive\r\n');
const VERSION = 'HTTP/1.1';

/** Which fields are left out: 1 at the number that names.ts gives a name. */
export type OmittedFields = Uint8Array;

function omitting(...ids: number[]): OmittedFields {
  const omitted = new Uint8Array(IDS);
  for (const id of ids) omitted[id] = 1;
  return omitted;
}

const HOP_BY_HOP = [CONNECTION, HOP, KEEP_ALIVE, TRANSFER_ENCODING, DISGUISED, DROPPED];
/** Left out of every request: what is meant for this hop alone, and who the client says it is. */
const REQUEST_OMITTED = [...HOP_BY_HOP, TE, IDENTITY];
const ANSWER_OMITTED = omitting(...HOP_BY_HOP, UPGRADE);
const SWITCH_OMITTED = omitting(...HOP_BY_HOP);
const NO_BODY_OMITTED = omitting(...HOP_BY_HOP, UPGRADE, CONTENT_LENGTH);

/** What is done to each request of a route. */
export interface RequestEdit {
  readonly omit: OmittedFields;
  /** How many bytes the path loses at its beginning; what is left begins with a slash, which is added where needed. */
  readonly strip: number;
  /** Host for a request that has none; Latin-1. */
  readonly host: string;
  /** Our name in Via (RFC 9110, 7.6.3); null: no Via is added. Latin-1. */
  readonly via: string | null;
  /** Adds header lines, each with its CRLF. */
  addLines(writer: ByteWriter, request: RequestHead): void;
}

/**
 * What is left out of the requests of a route. `forwarded`: also what the client says of the way that they came
 * (X-Forwarded-*); `override`: also fields that ask for another method or path than the request line.
 */
export function requestOmitting(options: { forwarded: boolean; override: boolean }): OmittedFields {
  const omitted = omitting(...REQUEST_OMITTED);
  if (options.forwarded) omitted[FORWARDED] = 1;
  if (options.override) omitted[OVERRIDE] = 1;
  return omitted;
}

/** Writes the head of a request for the provider. `version`: the client's, as Via says it. */
export function writeRequest(
  writer: ByteWriter,
  request: RequestHead,
  edit: RequestEdit,
  version = `1.${request.minor}`,
): void {
  const { buffer, fields, framing } = request;
  if (request.rewritten || request.minor === 0 || edit.strip > 0) {
    writeLine(writer, request, edit.strip);
  } else {
    writer.copy(buffer, request.from, request.lineTo);
  }
  writeFields(
    writer,
    buffer,
    fields,
    request.to,
    request.hops < 0 ? edit.omit : withoutHops(edit.omit),
  );
  if (request.lacksHost) {
    writer.text('Host: ');
    if (request.hostTo > 0) writer.copy(buffer, request.hostFrom, request.hostTo);
    else writer.text(edit.host);
    writer.bytes(CRLF);
  }
  if (framing.chunked) writer.bytes(CHUNKED_LINE);
  if (request.upgrades) writer.bytes(UPGRADE_LINE);
  else if (request.trailers) writer.bytes(TE_LINES);
  if (request.hops > 0) writer.text(`Max-Forwards: ${request.hops - 1}\r\n`);
  if (edit.via !== null) writer.text(`Via: ${version} ${edit.via}\r\n`);
  edit.addLines(writer, request);
  writer.bytes(CRLF);
}

/** Max-Forwards is left out, too: one that is smaller by one is added. */
function withoutHops(omit: OmittedFields): OmittedFields {
  const more = omit.slice();
  more[MAX_FORWARDS] = 1;
  return more;
}

function writeLine(writer: ByteWriter, request: RequestHead, strip: number): void {
  const { buffer, targetTo } = request;
  let from = request.targetFrom;
  writer.text(`${request.method} `);
  if (from === targetTo) {
    writer.text(request.method === 'OPTIONS' ? '*' : '/');
  } else {
    if (buffer[from] === SLASH) from += strip;
    if (buffer[from] !== SLASH && buffer[from] !== 42) writer.text('/');
    writer.copy(buffer, from, targetTo);
  }
  writer.text(` ${VERSION}\r\n`);
}

/** How the answer's body reaches a client, and what becomes of its connection. */
export interface AnswerEdit {
  /** How the body ends as the client gets it. */
  readonly body: Body;
  /** The client speaks HTTP/1.`minor`. */
  readonly minor: number;
  readonly keepAlive: boolean;
}

/** Writes the head of a final answer. One without a Date gets one, if the machine's clock was ever set. */
export function writeAnswer(writer: ByteWriter, answer: ResponseHead, edit: AnswerEdit): void {
  writeStatus(writer, answer);
  const omit = answer.forbidsLength ? NO_BODY_OMITTED : ANSWER_OMITTED;
  writeFields(writer, answer.buffer, answer.fields, answer.to, omit);
  // RFC 9110, 6.6.1: a proxy adds a Date to an answer that has none.
  if (!answer.fields.has(DATE)) writer.bytes(dateLine());
  if (edit.body === CHUNKED) writer.bytes(CHUNKED_LINE);
  if (!edit.keepAlive || edit.body === TO_THE_END) writer.bytes(CLOSE_LINE);
  else if (edit.minor === 0) writer.bytes(KEEP_ALIVE_LINE);
  writer.bytes(CRLF);
}

/** Writes an interim response (1xx). */
export function writeInformation(writer: ByteWriter, answer: ResponseHead): void {
  writeStatus(writer, answer);
  writeFields(writer, answer.buffer, answer.fields, answer.to, NO_BODY_OMITTED);
  writer.bytes(CRLF);
}

/** Writes a 101: behind it the connection speaks another protocol. */
export function writeSwitch(writer: ByteWriter, answer: ResponseHead): void {
  writeStatus(writer, answer);
  writeFields(writer, answer.buffer, answer.fields, answer.to, SWITCH_OMITTED);
  writer.bytes(UPGRADE_LINE);
  writer.bytes(CRLF);
}

/** The fields of an answer that are passed on, as Latin-1 text: for a client that speaks HTTP/2. */
export function passedFields(answer: ResponseHead): [name: string, value: string][] {
  const { buffer, fields } = answer;
  const omit = answer.forbidsLength ? NO_BODY_OMITTED : ANSWER_OMITTED;
  const passed: [string, string][] = [];
  for (let i = 0; i < fields.count; i++) {
    if (omit[fields.ids[i] as number] === 1) continue;
    passed.push([
      buffer.toString('latin1', fields.nameFrom(i), fields.nameTo(i)),
      buffer.toString('latin1', fields.valueFrom(i), fields.valueTo(i)),
    ]);
  }
  if (!fields.has(DATE) && currentDate() !== '' && answer.status >= 200)
    passed.push(['date', currentDate()]);
  return passed;
}

function writeStatus(writer: ByteWriter, answer: ResponseHead): void {
  writer.text(VERSION);
  writer.copy(answer.buffer, answer.statusFrom - 1, answer.lineTo);
}

/** Copies the lines that are kept, as few runs of bytes as they are. `sectionTo`: behind the empty line. */
function writeFields(
  writer: ByteWriter,
  buffer: Buffer,
  fields: Fields,
  sectionTo: number,
  omit: OmittedFields,
): void {
  if (fields.count === 0) return;
  let from = fields.nameFrom(0);
  for (let i = 0; i < fields.count; i++) {
    if (omit[fields.ids[i] as number] === 0) continue;
    const at = fields.nameFrom(i);
    if (at > from) writer.copy(buffer, from, at);
    from = fields.lineTo(i, sectionTo);
  }
  const to = sectionTo - 2;
  if (to > from) writer.copy(buffer, from, to);
}
