/** Requests for fuzzing: well-formed ones, put together from what matters to a proxy, and then perhaps damaged. */
import { fc } from './property.js';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'get', 'G T', ''];
const TARGETS = ['/', '/a/b?c=d', '*', 'http://a/x', '/%2e%2e/', '/a b', '//', '/\x80', '/#x', 'x'];
const VERSIONS = [
  ...['HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTp/1.1', 'HTTP/1.1 ', ''],
];
const LINES = [
  ...['Host: a', 'Host: b', 'Host:', 'host : a', 'Host: a, b'],
  ...['Content-Length: 5', 'Content-Length: 0', 'content-length: 05', 'Content-Length: 5, 5'],
  ...['Content-Length: 6', 'Content-Length: +5', 'Content-Length: 5 ', 'Content_Length: 3'],
  ...['Transfer-Encoding: chunked', 'Transfer-Encoding: Chunked', 'Transfer-Encoding: gzip'],
  ...['Transfer-Encoding: chunked, chunked', 'Transfer-Encoding:\tchunked', 'Transfer-Encoding: x'],
  ...['Connection: close', 'Connection: keep-alive', 'Connection: X-A, close', 'Connection: host'],
  ...[
    'X-PV-Role: root',
    'x_pv_role: root',
    'X-A: 1',
    'X-A:  2  ',
    'X-Empty:',
    ' folded',
    '\tfolded',
  ],
  ...[
    'Expect: 100-continue',
    'TE: trailers',
    'X: a\rb',
    'X: a\nb',
    'X: \0',
    'X\0: a',
    ': a',
    'nothing',
  ],
];
const ENDS = ['\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\r\n', ''];
/** A parenthesis begins no method: a body that is taken for a request is seen. */
const BODIES = [
  ...['', '(ello', '5\r\nhello\r\n0\r\n\r\n', '5;x=y\r\nhello\r\n0\r\nX-T: 1\r\n\r\n', '0\r\n\r\n'],
  ...[
    '5\nhello\n0\n\n',
    '5 \r\nhello\r\n0\r\n\r\n',
    '0x5\r\nhello\r\n0\r\n\r\n',
    'FFFFFFFFFFFFFFFFF\r\n',
  ],
  ...['5\r\nhelloX\r\n0\r\n\r\n', '-5\r\nhello\r\n', '5\r\nhello\r\n00\r\n\r\n'],
];

const rarely = <T>(usual: T, others: readonly T[]) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, fc.constantFrom(...others));

const message = fc
  .record({
    method: rarely('POST', METHODS),
    target: rarely('/', TARGETS),
    version: rarely('HTTP/1.1', VERSIONS),
    host: rarely('Host: a', LINES),
    lines: fc.array(fc.constantFrom(...LINES), { maxLength: 4 }),
    end: rarely('\r\n', ENDS),
    last: rarely('\r\n', ENDS),
    body: fc.constantFrom(...BODIES),
  })
  .map(({ method, target, version, host, lines, end, last, body }) => {
    const head = [`${method} ${target} ${version}`, host, ...lines];
    return `${head.map((line) => line + end).join('')}${last}${body}`;
  });

/** Changes of single bytes: where, and to which. */
const damage = fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 2 });

/** One to three requests in a row, as the bytes of a connection. */
export const connection = fc
  .tuple(fc.array(message, { minLength: 1, maxLength: 3 }), damage)
  .map(([messages, changes]) => {
    const bytes = Buffer.from(messages.join(''), 'latin1');
    for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
    return bytes;
  });
