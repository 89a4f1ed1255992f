/** What HTTP/2 asks of requests and of their fields' coding (RFC 9113, 8; RFC 7541), as http2-cases.ts has it of frames. */
import {
  answered,
  connection,
  type FrameCase,
  FrameCases,
  get,
  headers,
  one,
  post,
  stream,
  WHOLE,
  without,
} from './http2-case.js';
import {
  block,
  bytes,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  integer,
  REQUEST,
} from './http2-client.js';

const { section, all } = new FrameCases();

/** 400 of ours, or a stream error: both are a refusal (8.1.1). */
const malformed = ['answer 1 400', ...stream('PROTOCOL_ERROR')];

section(
  '8 requests',
  one('a name with a capital', [get(1, ['X-Test', 'a'])], malformed),
  one('an unknown pseudo-header', [get(1, [':test', 'a'])], malformed),
  one('a pseudo-header of an answer', [get(1, [':status', '200'])], malformed),
  one(
    'a pseudo-header behind a field',
    [headers(WHOLE, 1, block(['x', 'y'], ...REQUEST))],
    malformed,
  ),
  one('Connection', [get(1, ['connection', 'keep-alive'])], malformed),
  one('Transfer-Encoding', [get(1, ['transfer-encoding', 'chunked'])], malformed),
  one('Upgrade', [get(1, ['upgrade', 'x'])], malformed),
  one('Keep-Alive', [get(1, ['keep-alive', 'timeout=5'])], malformed),
  one('Proxy-Connection', [get(1, ['proxy-connection', 'keep-alive'])], malformed),
  one('TE: trailers', [get(1, ['te', 'trailers'])], answered()),
  one('TE: gzip', [get(1, ['te', 'trailers, deflate'])], malformed),
  one('no method', [headers(WHOLE, 1, without(':method'))], malformed),
  one('no scheme', [headers(WHOLE, 1, without(':scheme'))], malformed),
  one('no path', [headers(WHOLE, 1, without(':path'))], malformed),
  one(
    'an empty path',
    [headers(WHOLE, 1, block([':path', ''], ...REQUEST.filter(([name]) => name !== ':path')))],
    malformed,
  ),
  one(
    'a path without a slash',
    [headers(WHOLE, 1, block([':path', 'x'], ...REQUEST.filter(([name]) => name !== ':path')))],
    malformed,
  ),
  one('two methods', [headers(WHOLE, 1, block([':method', 'GET'], ...REQUEST))], malformed),
  one('two schemes', [headers(WHOLE, 1, block([':scheme', 'https'], ...REQUEST))], malformed),
  one('two paths', [headers(WHOLE, 1, block([':path', '/'], ...REQUEST))], malformed),
  one(
    'Host for :authority',
    [headers(WHOLE, 1, bytes(without(':authority'), block(['host', 'a'])))],
    answered(),
  ),
  one('Host and :authority', [get(1, ['host', 'A:443'])], answered()),
  one('Host other than :authority', [get(1, ['host', 'b'])], malformed),
  one('neither Host nor :authority', [headers(WHOLE, 1, without(':authority'))], malformed),
  one(
    'userinfo in :authority',
    [headers(WHOLE, 1, bytes(without(':authority'), block([':authority', 'u@a'])))],
    malformed,
  ),
  one(
    'CONNECT',
    [headers(END_HEADERS, 1, block([':method', 'CONNECT'], [':authority', 'a:443']))],
    ['answer 1 ?', ...malformed],
  ),
  one(
    'a length that is not the body’s',
    [post(1, ['content-length', '1']), frame(DATA, END_STREAM, 1, 'hello')],
    malformed,
  ),
  one(
    'a length of several DATA that is not the body’s',
    [post(1, ['content-length', '1']), frame(DATA, 0, 1, 'he'), frame(DATA, END_STREAM, 1, 'llo')],
    malformed,
  ),
  one(
    'a body shorter than its length',
    [post(1, ['content-length', '9']), frame(DATA, END_STREAM, 1, 'hello')],
    malformed,
  ),
  one('a length and no body', [get(1, ['content-length', '5'])], malformed),
  one(
    'two lengths',
    [
      post(1, ['content-length', '5'], ['content-length', '6']),
      frame(DATA, END_STREAM, 1, 'hello'),
    ],
    malformed,
  ),
  one(
    'a length that is no number',
    [post(1, ['content-length', '+5']), frame(DATA, END_STREAM, 1, 'hello')],
    malformed,
  ),
);

const LEFT_OUT = 'nghttp2 leaves the field out before anybody sees it: no byte of it is sent on';

/** Fields that are malformed (8.2.1), behind which another one is passed on. */
const dropped = (name: string, ...fields: [string, string][]): FrameCase => ({
  name,
  sent: [get(1, ...fields, ['x-last', 'z'])],
  expected: malformed,
  deviates: [answered()[0] as string, LEFT_OUT],
  seen: ['Host', 'a', 'x-last', 'z'],
});
const CONTROLS = { CR: '\r', LF: '\n', NUL: '\0', DEL: '\x7f', SOH: '\x01' };
const BLANKS = { 'a space': ' ', 'a tab': '\t' };
const NAMES = ['', 'x a', ' xa', 'xa ', 'x:a', 'x(a', 'x\xe9'];
const DISGUISED = ['content-length ', 'transfer-encoding ', 'transfer-encoding\r\n', 'host\0'];
const SMUGGLED = 'a\r\ncontent-length: 5\r\n\r\nGET /evil HTTP/1.1';
const pseudo = (name: string, value: string) => [
  headers(
    WHOLE,
    1,
    block(...REQUEST.map(([one, its]): [string, string] => [one, one === name ? value : its])),
  ),
];

section(
  '8.2.1 malformed fields',
  ...Object.entries(CONTROLS).flatMap(([what, control]) => [
    dropped(`${what} in a value`, ['x-a', `a${control}b`]),
    dropped(`${what} in a name`, [`x${control}a`, 'a']),
    ...[':method', ':scheme', ':path', ':authority'].map((name) =>
      one(`${what} in ${name}`, pseudo(name, `/a${control}b`), malformed),
    ),
    one(
      `${what} in a Host that stands for :authority`,
      [headers(WHOLE, 1, bytes(without(':authority'), block(['host', `a${control}`])))],
      malformed,
    ),
    // What would mean something here means nothing, and what it would have said is not believed.
    dropped(`${what} in Host beside :authority`, ['host', `b${control}`]),
    dropped(`${what} in TE`, ['te', `gzip${control}`]),
    dropped(`${what} in Connection`, ['connection', `x-last${control}`]),
    dropped(`${what} in Transfer-Encoding`, ['transfer-encoding', `chunked${control}`]),
    {
      ...dropped(
        `${what} in one crumb of a cookie`,
        ['cookie', `a=1${control}`],
        ['cookie', 'b=2'],
      ),
      seen: ['Host', 'a', 'x-last', 'z', 'cookie', 'b=2'],
    },
    {
      ...dropped(`${what} in a length`),
      sent: [post(1, ['content-length', `1${control}`]), frame(DATA, END_STREAM, 1, 'hello')],
      seen: ['Host', 'a', 'Transfer-Encoding', 'chunked'],
    },
  ]),
  ...Object.entries(BLANKS).flatMap(([what, blank]) => [
    dropped(`${what} before a value`, ['x-a', `${blank}a`]),
    dropped(`${what} behind a value`, ['x-a', `a${blank}`]),
    dropped(`${what} for a value`, ['x-a', blank]),
    one(`${what} before :path`, pseudo(':path', `${blank}/`), malformed),
    one(`${what} behind :authority`, pseudo(':authority', `a${blank}`), malformed),
  ]),
  ...NAMES.map((name) => dropped(`the name ${JSON.stringify(name)}`, [name, 'a'])),
  ...DISGUISED.map((name) => dropped(`the name ${JSON.stringify(name)}`, [name, '5'])),
  dropped('another request in a value', ['x-a', SMUGGLED]),
  dropped('another field in a name', ['x\r\ncontent-length: 5', 'a']),
);

const H = REQUEST;
section(
  'HPACK',
  one(
    'an index of the static table',
    [headers(WHOLE, 1, [0x82, 0x87, 0x84, 0x41, 1, 0x61])],
    answered(),
  ),
  one(
    'a string by Huffman’s code',
    [headers(WHOLE, 1, [0x82, 0x87, 0x84, 0x41, 0x81, 0x1f])],
    answered(),
  ),
  one(
    'a field that is indexed, and used again',
    [
      headers(WHOLE, 1, [0x82, 0x87, 0x84, 0x41, 1, 0x61]),
      headers(WHOLE, 3, [0x82, 0x87, 0x84, 0xbe]),
    ],
    answered(3),
  ),
  one('index 0', [headers(WHOLE, 1, bytes(block(...H), [0x80]))], connection('COMPRESSION_ERROR')),
  one(
    'an index beyond the tables',
    [headers(WHOLE, 1, bytes(block(...H), [0xbe]))],
    connection('COMPRESSION_ERROR'),
  ),
  one(
    'an index that overflows',
    [headers(WHOLE, 1, bytes(block(...H), integer(2 ** 40, 0x80, 7)))],
    connection('COMPRESSION_ERROR'),
  ),
  one(
    'an index that does not end',
    [headers(WHOLE, 1, bytes(block(...H), [0xff, 0xff, 0xff]))],
    connection('COMPRESSION_ERROR'),
  ),
  one(
    'a string longer than the block',
    [headers(WHOLE, 1, bytes(block(...H), [0, 9, 0x61]))],
    connection('COMPRESSION_ERROR'),
  ),
  one(
    'Huffman’s padding of zeros',
    [headers(WHOLE, 1, bytes(block(...H), [0, 0x81, 0x18, 1, 0x61]))],
    connection('COMPRESSION_ERROR'),
  ),
  one(
    'Huffman’s padding of more than 7 bits',
    [headers(WHOLE, 1, bytes(block(...H), [0, 0x82, 0x1f, 0xff, 1, 0x61]))],
    connection('COMPRESSION_ERROR'),
  ),
  one(
    'Huffman’s end of string',
    [headers(WHOLE, 1, bytes(block(...H), [0, 0x84, 0xff, 0xff, 0xff, 0xff, 1, 0x61]))],
    connection('COMPRESSION_ERROR'),
  ),
  one('a size of the table', [headers(WHOLE, 1, bytes([0x20], block(...H)))], answered()),
  one(
    'a size beyond what was allowed',
    [headers(WHOLE, 1, bytes(integer(4097, 0x20, 5), block(...H)))],
    connection('COMPRESSION_ERROR'),
  ),
  one(
    'a size behind a field',
    [headers(WHOLE, 1, bytes(block(...H), [0x20]))],
    connection('COMPRESSION_ERROR'),
  ),
);

export const REQUEST_CASES = all;
