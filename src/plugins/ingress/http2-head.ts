/** Translates heads and trailers between HTTP/2 and HTTP/1.1 (RFC 9113, 8.2 and 8.3). Pure. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import {
  type ErrorPage,
  isSameAuthority,
  passedFields,
  type ResponseHead,
} from '../../http1/index.js';

/** Fields that mean nothing in HTTP/2, or that we write ourselves. */
const LEFT_OUT = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'],
  ...['host', 'http2-settings'],
]);
const VISIBLE = /^[\x21-\x7e]+$/;

/**
 * A request's head as HTTP/1.1 has it. Null: it is malformed, for a pseudo-header is missing or not one word, a Host
 * names another server, or TE asks for more than trailers (RFC 9113, 8.2.2 and 8.3.1). `whole`: no body follows.
 */
export function requestText(
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  whole: boolean,
): string | null {
  const { ':method': method, ':path': path, ':authority': authority = headers.host } = headers;
  const words = [method, path, authority];
  if (!words.every((word) => typeof word === 'string' && VISIBLE.test(word))) return null;
  const port = headers[':scheme'] === 'http' ? ':80' : ':443';
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${authority}`];
  const cookies: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    if (name === 'host' && !isSameAuthority(value, authority as string, port)) return null;
    if (name === 'te' && value.toLowerCase() !== 'trailers') return null;
    if (name.startsWith(':') || LEFT_OUT.has(name)) continue;
    if (name === 'cookie') cookies.push(value);
    else lines.push(`${name}: ${value}`);
  }
  if (cookies.length > 0) lines.push(`cookie: ${cookies.join('; ')}`); // one Cookie may come as several fields
  if (!whole && headers['content-length'] === undefined) lines.push('Transfer-Encoding: chunked');
  return `${lines.join('\r\n')}\r\n\r\n`;
}

export function answerHeaders(answer: ResponseHead): OutgoingHttpHeaders {
  return { ':status': answer.status, ...headersOf(passedFields(answer)) };
}

export function pageHeaders({ status, fields }: ErrorPage): OutgoingHttpHeaders {
  return { ':status': status, ...headersOf(fields) };
}

/** `lines`: each with its CRLF. */
export function trailerHeaders(lines: Buffer): OutgoingHttpHeaders {
  const fields = lines
    .toString('latin1')
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
  return headersOf(fields);
}

/** Trailers of a request as a section of HTTP/1.1. */
export function trailerText(rawHeaders: readonly string[]): string {
  const lines: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`);
  return `${lines.join('')}\r\n`;
}

function headersOf(fields: readonly (readonly [string, string])[]): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {};
  for (const [field, value] of fields) {
    const name = field.toLowerCase();
    const before = headers[name];
    headers[name] = before === undefined ? value : [...[before].flat(), value];
  }
  return headers;
}
