/**
 * The grammar of answers (RFC 9112), case by case: what a provider says before it closes, and what its client reads;
 * 502: it is told that this was no HTTP. `|` stands for CRLF. Where it matters, the request that was asked.
 */

type AnswerCase = readonly [name: string, said: string, read: string | 502, request?: string];

const D = 'Date: now|';
const CLOSE = 'Connection: close|';
/** With a length, to a client that wants the connection's end. */
const ok = (line: string, lines = '') => `${line}|${D}${lines}Content-Length: 2||ok`;
const passed = (line: string, lines = '') => `${line}|${D}${lines}Content-Length: 2|${CLOSE}|ok`;
const OK = 'HTTP/1.1 200 OK';
const chunked = (body: string, lines = '') =>
  `${OK}|${D}${lines}Transfer-Encoding: chunked||${body}`;
const passedChunks = (body: string) => `${OK}|${D}Transfer-Encoding: chunked|${CLOSE}|${body}`;
const HEAD = 'HEAD / HTTP/1.1|Host: a|Connection: close||';
const OLD = 'GET / HTTP/1.0||';

export const ANSWERS: readonly AnswerCase[] = [
  ['a length', ok(OK), passed(OK)],
  ['a reason of several words', ok('HTTP/1.1 200 All is well'), passed('HTTP/1.1 200 All is well')],
  ['a reason in Latin-1', ok('HTTP/1.1 200 \xe7a va'), passed('HTTP/1.1 200 \xe7a va')],
  ['a reason of nothing', ok('HTTP/1.1 200 '), passed('HTTP/1.1 200 ')],
  ['no reason', ok('HTTP/1.1 200'), passed('HTTP/1.1 200')],
  ['HTTP/1.0', ok('HTTP/1.0 200 OK'), passed(OK)],
  ['a status that nobody knows', ok('HTTP/1.1 299 Odd'), passed('HTTP/1.1 299 Odd')],
  ['a status of 600', ok('HTTP/1.1 600 Odd'), passed('HTTP/1.1 600 Odd')],
  ['a status of two digits', ok('HTTP/1.1 20 OK'), 502],
  ['a status of four digits', ok('HTTP/1.1 2000 OK'), 502],
  ['a status of 099', ok('HTTP/1.1 099 OK'), 502],
  ['a status that is a word', ok('HTTP/1.1 abc OK'), 502],
  ['no status', ok('HTTP/1.1'), 502],
  ['two spaces before the status', ok('HTTP/1.1  200 OK'), 502],
  ['a tab before the status', ok('HTTP/1.1\t200 OK'), 502],
  ['a control byte in the reason', ok('HTTP/1.1 200 O\x01K'), 502],
  ['a CR in the reason', ok('HTTP/1.1 200 O\rK'), 502],
  ['LF behind the status line', `${OK}\n${D}Content-Length: 2||ok`, 502],
  ['HTTP/1.2', ok('HTTP/1.2 200 OK'), 502],
  ['HTTP/2.0', ok('HTTP/2.0 200 OK'), 502],
  ['HTTp/1.1', ok('HTTp/1.1 200 OK'), 502],
  ['ICY', ok('ICY 200 OK'), 502],
  ['an empty line before', `|${ok(OK)}`, 502],
  ['no HTTP', 'hello||', 502],
  ['nothing', '', 502],
  ['a folded line', ok(OK, 'X: a| b|'), 502],
  ['a space before the colon', ok(OK, 'X : a|'), 502],
  ['a line without a colon', ok(OK, 'X|'), 502],
  ['NUL in a value', ok(OK, 'X: a\0|'), 502],
  ['two Connections', ok(OK, 'Connection: X-A|X-A: 1|Connection: X-B|X-B: 2|'), passed(OK)],
  [
    'Keep-Alive and Proxy-Connection',
    ok(OK, 'Keep-Alive: timeout=9|Proxy-Connection: close|'),
    passed(OK),
  ],
  ['the same length twice', ok(OK, 'Content-Length: 2|'), passed(OK)],
  ['two lengths', ok(OK, 'Content-Length: 3|'), 502],
  ['a length of -2', `${OK}|${D}Content-Length: -2||ok`, 502],
  ['a length of 2, 2', `${OK}|${D}Content-Length: 2, 2||ok`, 502],
  ['more than its length', `${ok(OK)}and more`, passed(OK)],
  ['chunks', chunked('2|ok|0||'), passedChunks('2|ok|0||')],
  ['chunks with extensions', chunked('2;a="b" ; c|ok|0;d||'), passedChunks('2|ok|0||')],
  [
    'chunks with trailers',
    chunked('2|ok|0|X: a|Content-Length: 9||'),
    passedChunks('2|ok|0|X: a||'),
  ],
  ['chunks, of which the first is none', chunked('x|ok|0||'), passedChunks('')],
  ['an extension without a name', chunked('2;|ok|0||'), passedChunks('')],
  ['chunks without an end', chunked('2|ok|'), passedChunks('2|ok|')],
  ['chunks to HTTP/1.0', chunked('2|ok|0||'), `${OK}|${D}${CLOSE}|ok`, OLD],
  ['chunks in HTTP/1.0', `HTTP/1.0 200 OK|${D}Transfer-Encoding: chunked||2|ok|0||`, 502],
  ['a length and chunks', chunked('2|ok|0||', 'Content-Length: 2|'), 502],
  ['gzip, chunked', `${OK}|${D}Transfer-Encoding: gzip, chunked||2|ok|0||`, 502],
  ['neither length nor chunks', `${OK}|${D}|ok`, passedChunks('2|ok|0||')],
  ['neither, to HTTP/1.0', `${OK}|${D}|ok`, `${OK}|${D}${CLOSE}|ok`, OLD],
  [
    'a length, for HEAD',
    `${OK}|${D}Content-Length: 2||`,
    `${OK}|${D}Content-Length: 2|${CLOSE}|`,
    HEAD,
  ],
  ['chunks, for HEAD', `${OK}|${D}Transfer-Encoding: chunked||`, `${OK}|${D}${CLOSE}|`, HEAD],
  ['204 with a length', `HTTP/1.1 204 No|${D}Content-Length: 2||`, `HTTP/1.1 204 No|${D}${CLOSE}|`],
  [
    '204 with chunks',
    `HTTP/1.1 204 No|${D}Transfer-Encoding: chunked||0||`,
    `HTTP/1.1 204 No|${D}${CLOSE}|`,
  ],
  [
    '304 with a length',
    `HTTP/1.1 304 No|${D}Content-Length: 2||`,
    `HTTP/1.1 304 No|${D}Content-Length: 2|${CLOSE}|`,
  ],
  [
    '205 with a length',
    `HTTP/1.1 205 No|${D}Content-Length: 0||`,
    `HTTP/1.1 205 No|${D}Content-Length: 0|${CLOSE}|`,
  ],
  ['100 before', `HTTP/1.1 100 Go on||${ok(OK)}`, `HTTP/1.1 100 Go on||${passed(OK)}`],
  [
    '103 with fields before',
    `HTTP/1.1 103 Early|Link: a||${ok(OK)}`,
    `HTTP/1.1 103 Early|Link: a||${passed(OK)}`,
  ],
  [
    '102 with a length before',
    `HTTP/1.1 102 Wait|Content-Length: 5||${ok(OK)}`,
    `HTTP/1.1 102 Wait||${passed(OK)}`,
  ],
  ['100 to HTTP/1.0', `HTTP/1.1 100 Go on||${ok(OK)}`, passed(OK), OLD],
  ['100 and nothing more', 'HTTP/1.1 100 Go on||', 502],
  ['101 that nobody asked for', 'HTTP/1.1 101 Other|Upgrade: x|Connection: Upgrade||', 502],
];
