/** What a client is answered where no provider answers: one sentence, as JSON or text, as it prefers. */
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

/** What may be passed on; which of it, the provider says (RFC 9110, 15.5.6 wants the field). */
const ALLOWED = 'GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH';

export interface ErrorPage {
  readonly status: number;
  readonly reason: string;
  /** All but Connection. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** `accept`: the request's field of that name, empty where it has none. */
export function errorPage(refusal: Refusal, accept: string): ErrorPage {
  const { status, message, retryAfter } = refusal;
  const date = currentDate();
  const json = prefersJson(accept);
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

/** As an HTTP/1.1 message; `withBody` is false for HEAD. */
export function pageMessage(page: ErrorPage, keepAlive: boolean, withBody: boolean): Buffer {
  const lines = [
    `HTTP/1.1 ${page.status} ${page.reason}`,
    ...page.fields.map(([name, value]) => `${name}: ${value}`),
    `Connection: ${keepAlive ? 'keep-alive' : 'close'}`,
  ];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
  return withBody ? Buffer.concat([head, page.body]) : head;
}

/** RFC 9110, 12.5.1, for the two kinds that there are: text, unless JSON is wanted more. */
function prefersJson(accept: string): boolean {
  let json = 0;
  let text = 0;
  for (const range of accept.toLowerCase().split(',').slice(0, 20)) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const weight = parameters.find((parameter) => parameter.startsWith('q='));
    const quality = weight === undefined ? 1 : Number(weight.slice(2)) || 0;
    if (type === 'application/json' || type.endsWith('+json')) json = Math.max(json, quality);
    else if (type.startsWith('text/')) text = Math.max(text, quality);
  }
  return json > text;
}
