/** The answer that a client gets in place of a provider's: one sentence, as JSON or as text. */
import { currentDate } from './date.js';
import type { Refusal } from './refusal.js';

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  508: 'Loop Detected',
};

/** 405 has to say what is allowed (RFC 9110, 15.5.6): the methods that are passed on. A provider may allow fewer. */
const ALLOWED = 'GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH';

export interface ErrorPage {
  readonly status: number;
  readonly reason: string;
  /** All fields but Connection. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** `json`: rather than text; see accept.ts. */
export function errorPage(refusal: Refusal, json: boolean): ErrorPage {
  const { status, message, retryAfter } = refusal;
  const date = currentDate();
  const text = json ? JSON.stringify({ Error: message }) : message;
  const body = Buffer.from(`${text}\n`);
  const fields: [string, string][] = [
    ['Content-Type', json ? 'application/json' : 'text/plain; charset=utf-8'],
    ['Content-Length', String(body.length)],
  ];
  if (date !== '') fields.unshift(['Date', date]);
  if (status === 405) fields.push(['Allow', ALLOWED]);
  if (retryAfter !== undefined) fields.push(['Retry-After', String(retryAfter)]);
  return { status, reason: REASONS[status] ?? 'Error', fields, body };
}

/** The page as an HTTP/1.1 message. `withBody`: false where the request was HEAD. */
export function pageMessage(page: ErrorPage, keepAlive: boolean, withBody: boolean): Buffer {
  const lines = [
    `HTTP/1.1 ${page.status} ${page.reason}`,
    ...page.fields.map(([name, value]) => `${name}: ${value}`),
    `Connection: ${keepAlive ? 'keep-alive' : 'close'}`,
  ];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
  return withBody ? Buffer.concat([head, page.body]) : head;
}
