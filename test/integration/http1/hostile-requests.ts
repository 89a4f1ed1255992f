/** Hostile and odd requests by name; what comes of each stands in docs/hostile-http.md. */

const KiB = 1024;
const line = (text: string) => `${text}\r\n`;
/** A request with these lines and this body. */
const post = (lines: string, body: string) => `POST / HTTP/1.1\r\nHost: a\r\n${lines}\r\n${body}`;
const get = (lines: string) => `GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`;
const chunked = (body: string) => post(line('Transfer-Encoding: chunked'), body);
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
const CHUNKS = '5\r\nhello\r\n0\r\n\r\n';

export const HOSTILE_REQUESTS: readonly (readonly [name: string, bytes: string])[] = [
  [
    'CL.TE: a length, then chunks',
    post(line('Content-Length: 6') + line('Transfer-Encoding: chunked'), `0\r\n\r\n${SMUGGLED}`),
  ],
  [
    'TE.CL: chunks, then a length',
    post(line('Transfer-Encoding: chunked') + line('Content-Length: 4'), `0\r\n\r\n${SMUGGLED}`),
  ],
  [
    'TE.TE: chunked, then identity',
    post(line('Transfer-Encoding: chunked') + line('Transfer-Encoding: identity'), CHUNKS),
  ],
  ['Transfer-Encoding: xchunked', post(line('Transfer-Encoding: xchunked'), CHUNKS)],
  [
    'Transfer-Encoding: chunked, chunked',
    post(line('Transfer-Encoding: chunked, chunked'), CHUNKS),
  ],
  ['Transfer-Encoding: gzip, chunked', post(line('Transfer-Encoding: gzip, chunked'), CHUNKS)],
  ['Transfer-Encoding: identity', post(line('Transfer-Encoding: identity'), '')],
  ['Transfer-Encoding, empty', post(line('Transfer-Encoding:'), CHUNKS)],
  ['a tab before chunked', post(line('Transfer-Encoding:\tchunked'), CHUNKS)],
  ['a vertical tab before chunked', post(line('Transfer-Encoding: \x0bchunked'), CHUNKS)],
  ['a space before the colon', post(line('Transfer-Encoding : chunked'), CHUNKS)],
  ['a folded Transfer-Encoding', post('Transfer-Encoding:\r\n chunked\r\n', CHUNKS)],
  ['a bare LF, then Transfer-Encoding', post('X: a\nTransfer-Encoding: chunked\r\n', CHUNKS)],
  ['a bare CR, then Transfer-Encoding', post('X: a\rTransfer-Encoding: chunked\r\n', CHUNKS)],
  [
    'Transfer_Encoding, with a length of 5',
    post(line('Transfer_Encoding: chunked') + line('Content-Length: 5'), 'hello'),
  ],
  [
    'Transfer-Encoding in HTTP/1.0',
    `POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`,
  ],
  ['the same length twice', post(line('Content-Length: 5').repeat(2), 'hello')],
  ['two lengths', post(line('Content-Length: 5') + line('Content-Length: 6'), 'hello!')],
  ['Content-Length: 5, 5', post(line('Content-Length: 5, 5'), 'hello')],
  ['Content-Length: +5', post(line('Content-Length: +5'), 'hello')],
  ['Content-Length: -5', post(line('Content-Length: -5'), 'hello')],
  ['Content-Length: 0x5', post(line('Content-Length: 0x5'), 'hello')],
  ['Content-Length: 5 5', post(line('Content-Length: 5 5'), 'hello')],
  ['Content-Length, empty', post(line('Content-Length:'), '')],
  ['Content-Length of 30 digits', post(line(`Content-Length: ${'9'.repeat(30)}`), 'hello')],
  [
    'Connection: Content-Length',
    post(line('Connection: Content-Length') + line('Content-Length: 5'), 'hello'),
  ],
  ['a chunk with an extension', chunked('5;a=b\r\nhello\r\n0\r\n\r\n')],
  ['an LF in an extension', chunked('5;a\nhello\r\n0\r\n\r\n')],
  ['a chunk line that ends with LF', chunked('5\nhello\r\n0\r\n\r\n')],
  ['1 MiB of extension', chunked(`5;${'a'.repeat(KiB * KiB)}\r\nhello\r\n0\r\n\r\n`)],
  ['chunk size 5x', chunked('5x\r\nhello\r\n0\r\n\r\n')],
  ['chunk size +5', chunked('+5\r\nhello\r\n0\r\n\r\n')],
  ['chunk size 0x5', chunked('0x5\r\nhello\r\n0\r\n\r\n')],
  ['a space before a chunk size', chunked(' 5\r\nhello\r\n0\r\n\r\n')],
  ['a space behind a chunk size', chunked('5 \r\nhello\r\n0\r\n\r\n')],
  ['a chunk size of 17 digits', chunked('10000000000000005\r\nhello\r\n0\r\n\r\n')],
  ['a chunk longer than its size', chunked('4\r\nhello\r\n0\r\n\r\n')],
  ['a trailer with a bare LF', chunked('5\r\nhello\r\n0\r\nA: b\nC: d\r\n\r\n')],
  ['a trailer', chunked('5\r\nhello\r\n0\r\nA: b\r\n\r\n')],
  ['NUL in a value', get('X: a\0b\r\n')],
  ['NUL in a name', get('X\0: b\r\n')],
  ['NUL in the target', 'GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['DEL in a value', get('X: a\x7fb\r\n')],
  ['an empty name', get(': b\r\n')],
  ['a name with a space', get('X Y: b\r\n')],
  ['a name in parentheses', get('(X): b\r\n')],
  ['a line without a colon', get('X\r\n')],
  ['a folded line', get('X: a\r\n b\r\n')],
  ['lines that end with LF', 'GET / HTTP/1.1\nHost: a\n\n'],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
  ['two Hosts', get('Host: b\r\n')],
  ['a Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'],
  ['a Host with userinfo', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n'],
  ['a URL as target', 'GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a URL of another host', 'GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a URL of another scheme', 'GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['GET *', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a target without a slash', 'GET x HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['HTTP/0.9', 'GET /\r\n'],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n'],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['http/1.1 in lower case', 'GET / http/1.1\r\nHost: a\r\n\r\n'],
  ['HTTp/1.1, its last letter in lower case', 'GET / HTTp/1.1\r\nHost: a\r\n\r\n'],
  ['two spaces before the target', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a space behind the version', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n'],
  ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a fragment in the target', 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['UTF-8 in the target', 'GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a method in lower case', 'get / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a method of 100 letters', `${'A'.repeat(100)} / HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['one empty line before', `\r\n${get('')}`],
  ['three empty lines before', `\r\n\r\n\r\n${get('')}`],
  ['a head of 1 MiB', get(line(`X: ${'a'.repeat(KiB * KiB)}`))],
  ['10,000 headers', get(line('X: a').repeat(10_000))],
  ['200 headers', get(line('X: a').repeat(200))],
  ['a target of 64 KiB', `GET /${'a'.repeat(64 * KiB)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['Expect: other', post(line('Expect: other') + line('Content-Length: 5'), 'hello')],
  [
    'Upgrade: h2c',
    get(
      line('Connection: Upgrade, HTTP2-Settings') +
        line('Upgrade: h2c') +
        line('HTTP2-Settings: AAMAAABkAAQAAP__'),
    ),
  ],
  [
    'a body with GET, then another request',
    `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello${get('')}`,
  ],
  ['garbage behind a body', post(line('Content-Length: 5'), 'hello\x01\x02\r\n\r\n')],
  ['bytes of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
];
