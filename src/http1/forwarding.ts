/**
 * Heads as they are passed on: the lines that go further are copied as they stand, those that don't are left
 * out, and ours are added behind them. Pure, but for the writer.
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

/** Which fields are left out, by their number. */
export type Cut = Uint8Array;

function cutting(...ids: number[]): Cut {
  const cut = new Uint8Array(IDS);
  for (const id of ids) cut[id] = 1;
  return cut;
}

const HOP_BY_HOP = [CONNECTION, HOP, KEEP_ALIVE, TRANSFER_ENCODING, DISGUISED, DROPPED];
/** Of a request, always: what is for this hop alone, and what the consumer says it is. */
const REQUEST_CUT = [...HOP_BY_HOP, TE, IDENTITY];
const ANSWER_CUT = cutting(...HOP_BY_HOP, UPGRADE);
const SWITCH_CUT = cutting(...HOP_BY_HOP);
const NO_BODY_CUT = cutting(...HOP_BY_HOP, UPGRADE, CONTENT_LENGTH);

/** What is done to each request of a route. */
export interface RequestEdit {
  readonly cut: Cut;
  /** Bytes that are taken from the beginning of the path; a slash stays. */
  readonly strip: number;
  /** Host for a request that has none; Latin-1. */
  readonly host: string;
  /** By what name the provider is told of us, in Via; null: it is not. Latin-1. */
  readonly via: string | null;
  /** Adds header lines, each with its CRLF. */
  addLines(writer: ByteWriter, request: RequestHead): void;
}

/** `forwarded`: what it says of its way here is left out too; `override`: so are other methods and paths. */
export function requestCut(options: { forwarded: boolean; override: boolean }): Cut {
  const cut = cutting(...REQUEST_CUT);
  if (options.forwarded) cut[FORWARDED] = 1;
  if (options.override) cut[OVERRIDE] = 1;
  return cut;
}

/** `version`: the client's, as Via has it. */
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
  writeFields(writer, buffer, fields, request.to, request.hops < 0 ? edit.cut : hopsCut(edit.cut));
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

function hopsCut(cut: Cut): Cut {
  const more = cut.slice();
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
  /** As the client gets it. */
  readonly body: Body;
  /** Of HTTP/1, the client's. */
  readonly minor: number;
  readonly keepAlive: boolean;
}

/** The head of a final answer; one without a Date gets it, if the clock was ever set. */
export function writeAnswer(writer: ByteWriter, answer: ResponseHead, edit: AnswerEdit): void {
  writeStatus(writer, answer);
  const cut = answer.forbidsLength ? NO_BODY_CUT : ANSWER_CUT;
  writeFields(writer, answer.buffer, answer.fields, answer.to, cut);
  // RFC 9110, 6.6.1: whoever passes on an answer without one dates it.
  if (!answer.fields.has(DATE)) writer.bytes(dateLine());
  if (edit.body === CHUNKED) writer.bytes(CHUNKED_LINE);
  if (!edit.keepAlive || edit.body === TO_THE_END) writer.bytes(CLOSE_LINE);
  else if (edit.minor === 0) writer.bytes(KEEP_ALIVE_LINE);
  writer.bytes(CRLF);
}

/** 100 and its like. */
export function writeInformation(writer: ByteWriter, answer: ResponseHead): void {
  writeStatus(writer, answer);
  writeFields(writer, answer.buffer, answer.fields, answer.to, NO_BODY_CUT);
  writer.bytes(CRLF);
}

/** 101: from here on the connection speaks another protocol. */
export function writeSwitch(writer: ByteWriter, answer: ResponseHead): void {
  writeStatus(writer, answer);
  writeFields(writer, answer.buffer, answer.fields, answer.to, SWITCH_CUT);
  writer.bytes(UPGRADE_LINE);
  writer.bytes(CRLF);
}

/** The fields of an answer that are passed on, as Latin-1 text, for who does not speak HTTP/1. */
export function passedFields(answer: ResponseHead): [name: string, value: string][] {
  const { buffer, fields } = answer;
  const cut = answer.forbidsLength ? NO_BODY_CUT : ANSWER_CUT;
  const passed: [string, string][] = [];
  for (let i = 0; i < fields.count; i++) {
    if (cut[fields.ids[i] as number] === 1) continue;
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

function writeFields(
  writer: ByteWriter,
  buffer: Buffer,
  fields: Fields,
  sectionTo: number,
  cut: Cut,
): void {
  if (fields.count === 0) return;
  let from = fields.nameFrom(0);
  for (let i = 0; i < fields.count; i++) {
    if (cut[fields.ids[i] as number] === 0) continue;
    const at = fields.nameFrom(i);
    if (at > from) writer.copy(buffer, from, at);
    from = fields.lineTo(i, sectionTo);
  }
  const to = sectionTo - 2;
  if (to > from) writer.copy(buffer, from, to);
}
