/**
 * What HTTP/2 asks of a server, frame by frame (RFC 9113, RFC 7541): what is sent, and what may come of it. A connection
 * error is a GOAWAY of that code, or the end of the connection, which 5.4.1 allows where it can't be said.
 */
import {
  answered,
  connection,
  FrameCases,
  get,
  headers,
  IGNORED,
  one,
  PONG,
  ping,
  post,
  stream,
  WHOLE,
} from './http2-case.js';
import {
  ACK,
  block,
  bytes,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  PADDED,
  PING,
  PRIORITIZED,
  PRIORITY,
  PUSH_PROMISE,
  REQUEST,
  RST_STREAM,
  SETTINGS,
  setting,
  uint32,
  WINDOW_UPDATE,
} from './http2-client.js';

const { section, all } = new FrameCases();

section(
  '3 beginning',
  {
    name: 'a preface that is none',
    sent: ['GET / HTTP/1.1\r\nHost: a\r\n\r\n......'],
    expected: connection('PROTOCOL_ERROR'),
    raw: true,
  },
  {
    name: 'a preface and no SETTINGS',
    sent: ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ping],
    expected: connection('PROTOCOL_ERROR'),
    raw: true,
  },
  one('a request', [get()], answered()),
  one('a ping', [ping], PONG),
);

section(
  '4.1 frames',
  one('a type that nobody knows', [frame(0xfa, 0, 0, 'hello'), ping], PONG),
  one('flags that mean nothing', [frame(PING, 0x16 & ~ACK, 0, '12345678')], PONG),
  one(
    'the reserved bit of a stream’s number',
    [frame(HEADERS, WHOLE, 0x80000001, block(...REQUEST))],
    answered(),
  ),
);

section(
  '4.2 sizes',
  one('DATA of 16 KiB', [post(), frame(DATA, END_STREAM, 1, Buffer.alloc(16_384))], answered()),
  one(
    'DATA of more',
    [post(), frame(DATA, END_STREAM, 1, Buffer.alloc(16_385))],
    stream('FRAME_SIZE_ERROR'),
  ),
  one('HEADERS of more', [headers(WHOLE, 1, Buffer.alloc(16_385))], connection('FRAME_SIZE_ERROR')),
  one(
    'an unknown frame of more',
    [frame(0xfa, 0, 0, Buffer.alloc(16_385))],
    connection('FRAME_SIZE_ERROR'),
  ),
);

section(
  '4.3 field blocks',
  one(
    'one that is no HPACK',
    [headers(WHOLE, 1, [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    connection('COMPRESSION_ERROR'),
  ),
  one(
    'another stream’s frame within one',
    [headers(END_STREAM, 1, block(...REQUEST)), frame(PRIORITY, 0, 3, [0, 0, 0, 0, 1])],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'an unknown frame within one',
    [headers(END_STREAM, 1, block(...REQUEST)), frame(0xfa, 0, 0)],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'another stream’s HEADERS within one',
    [headers(END_STREAM, 1, block(...REQUEST)), get(3)],
    connection('PROTOCOL_ERROR'),
  ),
);

section(
  '5.1 states',
  one(
    'DATA on an idle stream',
    [frame(DATA, END_STREAM, 1, 'hello')],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'RST_STREAM on an idle stream',
    [frame(RST_STREAM, 0, 1, uint32(8))],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'WINDOW_UPDATE on an idle stream',
    [frame(WINDOW_UPDATE, 0, 1, uint32(100))],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'CONTINUATION on an idle stream',
    [frame(CONTINUATION, END_HEADERS, 1, block(...REQUEST))],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'DATA on a half-closed stream',
    [get(), frame(DATA, END_STREAM, 1, 'hello')],
    [...stream('STREAM_CLOSED')],
  ),
  one('HEADERS on a half-closed stream', [get(), get()], [...stream('STREAM_CLOSED')]),
  one(
    'CONTINUATION on a half-closed stream',
    [get(), frame(CONTINUATION, END_HEADERS, 1, block(...REQUEST))],
    [...stream('STREAM_CLOSED'), ...connection('PROTOCOL_ERROR')],
  ),
  one(
    'DATA behind RST_STREAM',
    [post(), frame(RST_STREAM, 0, 1, uint32(8)), frame(DATA, END_STREAM, 1, 'hello'), ping],
    stream('STREAM_CLOSED'),
    [PONG[0] as string, IGNORED],
  ),
  one(
    'HEADERS behind RST_STREAM',
    [post(), frame(RST_STREAM, 0, 1, uint32(8)), get(), ping],
    stream('STREAM_CLOSED'),
    [PONG[0] as string, IGNORED],
  ),
  one(
    'CONTINUATION behind RST_STREAM',
    [
      post(),
      frame(RST_STREAM, 0, 1, uint32(8)),
      frame(CONTINUATION, END_HEADERS, 1, block(...REQUEST)),
    ],
    [...stream('STREAM_CLOSED'), ...connection('PROTOCOL_ERROR')],
  ),
  one(
    'WINDOW_UPDATE on a half-closed stream',
    [get(), frame(WINDOW_UPDATE, 0, 1, uint32(1)), ping],
    PONG,
  ),
  one(
    'PRIORITY on a half-closed stream',
    [get(), frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1]), ping],
    PONG,
  ),
  one('PRIORITY on an idle stream', [frame(PRIORITY, 0, 7, [0, 0, 0, 0, 1]), ping], PONG),
);

section(
  '5.1.1 numbers',
  one('an even one', [get(2)], connection('PROTOCOL_ERROR')),
  one('one that is lower than before', [get(5), get(3), ping], connection('PROTOCOL_ERROR'), [
    PONG[0] as string,
    IGNORED,
  ]),
  one('some that are left out', [get(1), get(99)], answered(99)),
);

section(
  '5.3 dependencies',
  one(
    'HEADERS with a priority',
    [headers(WHOLE | PRIORITIZED, 1, bytes([0x80, 0, 0, 0, 0xff], block(...REQUEST)))],
    answered(),
  ),
  one(
    'HEADERS that depend on themselves',
    [headers(WHOLE | PRIORITIZED, 1, bytes([0, 0, 0, 1, 0xff], block(...REQUEST)))],
    [...stream('PROTOCOL_ERROR'), ...answered()],
  ),
  one(
    'PRIORITY of a stream on itself',
    [frame(PRIORITY, 0, 1, [0, 0, 0, 1, 0]), ping],
    [...stream('PROTOCOL_ERROR'), ...PONG],
  ),
);

section(
  '6.1 DATA',
  one('a body', [post(), frame(DATA, END_STREAM, 1, 'hello')], answered()),
  one(
    'padding',
    [post(), frame(DATA, END_STREAM | PADDED, 1, bytes([3], 'hello', [0, 0, 0]))],
    answered(),
  ),
  one('padding alone', [post(), frame(DATA, END_STREAM | PADDED, 1, [2, 0, 0])], answered()),
  one('no bytes', [post(), frame(DATA, END_STREAM, 1)], answered()),
  one('on the connection', [frame(DATA, END_STREAM, 0, 'hello')], connection('PROTOCOL_ERROR')),
  one(
    'more padding than payload',
    [post(), frame(DATA, END_STREAM | PADDED, 1, [9, 0, 0])],
    connection('PROTOCOL_ERROR'),
  ),
);

section(
  '6.2 HEADERS',
  one('padding', [headers(WHOLE | PADDED, 1, bytes([2], block(...REQUEST), [0, 0]))], answered()),
  one(
    'padding and a priority',
    [
      headers(
        WHOLE | PADDED | PRIORITIZED,
        1,
        bytes([2, 0, 0, 0, 0, 9], block(...REQUEST), [0, 0]),
      ),
    ],
    answered(),
  ),
  one('on the connection', [get(0)], connection('PROTOCOL_ERROR')),
  one(
    'more padding than payload',
    [headers(WHOLE | PADDED, 1, bytes([200], block(...REQUEST)))],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'trailers',
    [
      post(1, ['te', 'trailers']),
      frame(DATA, 0, 1, 'hello'),
      headers(WHOLE, 1, block(['x-sum', '5'])),
    ],
    answered(),
  ),
  one(
    'trailers that do not end the stream',
    [post(), frame(DATA, 0, 1, 'hello'), headers(END_HEADERS, 1, block(['x-sum', '5']))],
    stream('PROTOCOL_ERROR'),
  ),
  one(
    'trailers with a pseudo-header',
    [post(), frame(DATA, 0, 1, 'hello'), headers(WHOLE, 1, block([':path', '/']))],
    stream('PROTOCOL_ERROR'),
  ),
);

section(
  '6.3 PRIORITY',
  one('on the connection', [frame(PRIORITY, 0, 0, [0, 0, 0, 0, 1])], connection('PROTOCOL_ERROR')),
  one('of four bytes', [post(), frame(PRIORITY, 0, 1, [0, 0, 0, 0])], stream('FRAME_SIZE_ERROR')),
);

section(
  '6.4 RST_STREAM',
  one('of a request', [post(), frame(RST_STREAM, 0, 1, uint32(8)), ping], PONG),
  one('with a code that nobody knows', [post(), frame(RST_STREAM, 0, 1, uint32(99)), ping], PONG),
  one('on the connection', [frame(RST_STREAM, 0, 0, uint32(8))], connection('PROTOCOL_ERROR')),
  one(
    'of three bytes',
    [post(), frame(RST_STREAM, 0, 1, [0, 0, 8])],
    connection('FRAME_SIZE_ERROR'),
  ),
);

section(
  '6.5 SETTINGS',
  one('of nothing', [frame(SETTINGS, 0, 0), ping], PONG),
  one(
    'an acknowledgement of nothing',
    [frame(SETTINGS, ACK, 0), ping],
    [...PONG, ...connection('PROTOCOL_ERROR')],
  ),
  one(
    'an acknowledgement with a payload',
    [frame(SETTINGS, ACK, 0, setting(3, 1))],
    connection('FRAME_SIZE_ERROR'),
  ),
  one('on a stream', [frame(SETTINGS, 0, 1, setting(3, 1))], connection('PROTOCOL_ERROR')),
  one('of five bytes', [frame(SETTINGS, 0, 0, [0, 3, 0, 0, 1])], connection('FRAME_SIZE_ERROR')),
  one('one that nobody knows', [frame(SETTINGS, 0, 0, setting(0xff, 1)), ping], PONG),
  one('ENABLE_PUSH of 2', [frame(SETTINGS, 0, 0, setting(2, 2))], connection('PROTOCOL_ERROR')),
  one(
    'INITIAL_WINDOW_SIZE of 2^31',
    [frame(SETTINGS, 0, 0, setting(4, 2 ** 31))],
    connection('FLOW_CONTROL_ERROR'),
  ),
  one(
    'MAX_FRAME_SIZE of 16,383',
    [frame(SETTINGS, 0, 0, setting(5, 16_383))],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'MAX_FRAME_SIZE of 2^24',
    [frame(SETTINGS, 0, 0, setting(5, 2 ** 24))],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'HEADER_TABLE_SIZE of 0',
    [frame(SETTINGS, 0, 0, setting(1, 0)), get()],
    ['answer 1 200', 'answer 1 ?'],
  ),
  one('MAX_CONCURRENT_STREAMS of 0', [frame(SETTINGS, 0, 0, setting(3, 0)), get()], answered()),
  one(
    'twice the same, the last of which counts',
    [frame(SETTINGS, 0, 0, bytes(setting(4, 1), setting(4, 65_535))), get()],
    answered(),
  ),
);

section(
  '6.6 PUSH_PROMISE',
  one(
    'of a client',
    [get(), frame(PUSH_PROMISE, END_HEADERS, 1, bytes(uint32(2), block(...REQUEST)))],
    connection('PROTOCOL_ERROR'),
  ),
);

section(
  '6.7 PING',
  one('an acknowledgement that nobody asked for', [frame(PING, ACK, 0, 'invalid!'), ping], PONG, [
    'closed',
    'a session ends with it, and no client sends one',
  ]),
  one('on a stream', [frame(PING, 0, 1, '12345678')], connection('PROTOCOL_ERROR')),
  one('of six bytes', [frame(PING, 0, 0, '123456')], connection('FRAME_SIZE_ERROR')),
);

section(
  '6.8 GOAWAY',
  one(
    'without a word',
    [frame(GOAWAY, 0, 0, bytes(uint32(0), uint32(0))), ping],
    [...PONG, 'closed', 'GOAWAY NO_ERROR'],
  ),
  one(
    'on a stream',
    [frame(GOAWAY, 0, 1, bytes(uint32(0), uint32(0)))],
    connection('PROTOCOL_ERROR'),
  ),
);

section(
  '6.9 WINDOW_UPDATE',
  one('of the connection', [frame(WINDOW_UPDATE, 0, 0, uint32(100)), ping], PONG),
  one('of a stream', [get(), frame(WINDOW_UPDATE, 0, 1, uint32(100)), ping], PONG),
  one('of nothing', [frame(WINDOW_UPDATE, 0, 0, uint32(0))], connection('PROTOCOL_ERROR')),
  one(
    'of nothing, on a stream',
    [post(), frame(WINDOW_UPDATE, 0, 1, uint32(0))],
    stream('PROTOCOL_ERROR'),
  ),
  one('of three bytes', [frame(WINDOW_UPDATE, 0, 0, [0, 0, 1])], connection('FRAME_SIZE_ERROR')),
  one(
    'beyond 2^31 - 1',
    [
      frame(WINDOW_UPDATE, 0, 0, uint32(0x7fffffff)),
      frame(WINDOW_UPDATE, 0, 0, uint32(0x7fffffff)),
    ],
    connection('FLOW_CONTROL_ERROR'),
  ),
  one(
    'of a stream beyond 2^31 - 1',
    [
      post(),
      frame(WINDOW_UPDATE, 0, 1, uint32(0x7fffffff)),
      frame(WINDOW_UPDATE, 0, 1, uint32(0x7fffffff)),
    ],
    stream('FLOW_CONTROL_ERROR'),
  ),
  one(
    'a window that SETTINGS take below nothing',
    [get(), frame(SETTINGS, 0, 0, setting(4, 0)), ping],
    PONG,
  ),
  one(
    'SETTINGS that take a window beyond 2^31 - 1',
    [
      post(),
      frame(WINDOW_UPDATE, 0, 1, uint32(0x7fff0000)),
      frame(SETTINGS, 0, 0, setting(4, 0x7fffffff)),
    ],
    connection('FLOW_CONTROL_ERROR'),
    ['RST_STREAM 1 FLOW_CONTROL_ERROR', 'the stream ends alone, and its window with it'],
  ),
);

section(
  '6.10 CONTINUATION',
  one(
    'of a head',
    [
      headers(END_STREAM, 1, block(...REQUEST.slice(0, 2))),
      frame(CONTINUATION, END_HEADERS, 1, block(...REQUEST.slice(2))),
    ],
    answered(),
  ),
  one(
    'several',
    [
      headers(END_STREAM, 1, []),
      frame(CONTINUATION, 0, 1, block(...REQUEST)),
      frame(CONTINUATION, END_HEADERS, 1, []),
    ],
    answered(),
  ),
  one(
    'cut within a field',
    [
      headers(END_STREAM, 1, block(...REQUEST).subarray(0, 11)),
      frame(CONTINUATION, END_HEADERS, 1, block(...REQUEST).subarray(11)),
    ],
    answered(),
  ),
  one(
    'of another stream',
    [headers(END_STREAM, 1, block(...REQUEST)), frame(CONTINUATION, END_HEADERS, 3, [])],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'on the connection',
    [headers(END_STREAM, 1, block(...REQUEST)), frame(CONTINUATION, END_HEADERS, 0, [])],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'behind the end of a head',
    [get(), frame(CONTINUATION, END_HEADERS, 1, [])],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'behind DATA',
    [post(), frame(DATA, 0, 1, 'a'), frame(CONTINUATION, END_HEADERS, 1, [])],
    connection('PROTOCOL_ERROR'),
  ),
  one(
    'without an end',
    [
      headers(END_STREAM, 1, []),
      ...Array.from({ length: 20 }, () =>
        frame(CONTINUATION, 0, 1, block(['x', 'y'.repeat(16_000)])),
      ),
    ],
    [
      ...connection('ENHANCE_YOUR_CALM'),
      ...connection('INTERNAL_ERROR'),
      'RST_STREAM 1 ENHANCE_YOUR_CALM',
    ],
  ),
);

export const FRAME_CASES = all;
