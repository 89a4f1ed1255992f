/** What a tap makes of bytes: whole, cut anywhere, begun in the middle, or of no protocol at all. */
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { errorReply } from '../../../src/plugins/dbus/message-writer.js';
import { DbusDecoder } from '../../../src/tap/dbus-decoder.js';
import type { Decoder, Piece } from '../../../src/tap/decoder.js';
import { Decoding } from '../../../src/tap/decoding.js';
import { hexDump } from '../../../src/tap/hex-dump.js';
import { httpDecoders } from '../../../src/tap/http-decoder.js';
import { messageText, shownText, timeText } from '../../../src/tap/text.js';
import { fc, property } from '../../support/property.js';
import { has } from '../../support/requirements.js';

const MESSAGE = errorReply({ serial: 7, replySerial: 3 }, 'org.example.Error', 'It is late.');

/** All that comes of it, fed in pieces that end at these places. */
function decoded(decoder: Decoder, bytes: Buffer, cuts: readonly number[] = []): Piece[] {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  const pieces = ends.flatMap((to) => {
    const fed = decoder.feed(Buffer.from(bytes.subarray(from, to)));
    from = to;
    return fed.map((piece) => ({ ...piece, bytes: Buffer.from(piece.bytes) }));
  });
  return [...pieces, ...decoder.rest()];
}

const kinds = (pieces: readonly Piece[]) => pieces.map(({ kind }) => kind);
const bytesOf = (pieces: readonly Piece[]) => Buffer.concat(pieces.map(({ bytes }) => bytes));

describe('hexDump', () => {
  test.runIf(has('hexdump'))('is what hexdump -C prints', () => {
    for (const length of [0, 1, 8, 9, 15, 16, 17, 64, 100, 4_096, 70_000]) {
      for (const repeated of [true, false]) {
        const bytes = Buffer.from(
          Array.from({ length }, (_, i) => (repeated ? i >> 7 : i * 7) % 256),
        );
        const { stdout } = spawnSync('hexdump', ['-C'], { input: bytes, encoding: 'utf8' });
        expect(
          hexDump(bytes)
            .map((line) => `${line}\n`)
            .join(''),
        ).toBe(stdout);
      }
    }
  });
});

describe('D-Bus', () => {
  const LINES = Buffer.from('\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n');

  property('is the same however it is cut', async (holds) => {
    const bytes = Buffer.concat([LINES, MESSAGE, MESSAGE]);
    await holds(
      fc.property(fc.array(fc.nat(), { maxLength: 6 }), (cuts) => {
        const pieces = decoded(new DbusDecoder(), bytes, cuts);
        expect(kinds(pieces)).toEqual(['lines', 'lines', 'lines', 'message', 'message']);
        expect(bytesOf(pieces).equals(bytes)).toBe(true);
      }),
    );
  });

  test('that begins within a message goes on with the next', () => {
    const bytes = Buffer.concat([MESSAGE.subarray(20), MESSAGE, MESSAGE.subarray(0, 30)]);
    const pieces = decoded(new DbusDecoder(), bytes);
    expect(kinds(pieces)).toEqual(['bytes', 'message', 'bytes']);
    const [, message] = pieces;
    if (message?.kind !== 'message') throw new Error('no message');
    expect(messageText(message.header, message.length)).toBe(
      `error 3 org.example.Error from org.freedesktop.DBus, serial 7, "s", bytes: ${MESSAGE.length}`,
    );
  });

  test('of a long message has its begin, and what follows it', () => {
    const long = Buffer.from(MESSAGE);
    long.writeUInt32LE(2 ** 20, 4); // its body
    const rest = Buffer.alloc(2 ** 20 - (MESSAGE.length - headerLength(MESSAGE)), 0x6c);
    const pieces = decoded(new DbusDecoder(), Buffer.concat([long, rest, MESSAGE]));
    expect(kinds(pieces)).toEqual(['message', 'message']);
    expect(pieces[0]).toMatchObject({ length: headerLength(MESSAGE) + 2 ** 20 });
    expect(pieces[0]?.bytes).toHaveLength(256 * 1024);
  });

  property('loses no byte of anything', async (holds) => {
    const some = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.constantFrom(MESSAGE.subarray(0, 40), MESSAGE, LINES, Buffer.from('l\x01\0\x01')),
    );
    await holds(
      fc.property(fc.array(some), fc.array(fc.nat(), { maxLength: 4 }), (parts, cuts) => {
        const bytes = Buffer.concat(parts);
        expect(bytesOf(decoded(new DbusDecoder(), bytes, cuts)).equals(bytes)).toBe(true);
      }),
    );
  });
});

function headerLength(message: Buffer): number {
  return (16 + message.readUInt32LE(12) + 7) & -8;
}

describe('HTTP', () => {
  const REQUESTS = Buffer.from(
    'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloHEAD /b HTTP/1.1\r\nHost: x\r\n\r\n' +
      'PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /d HTTP/1.1\r\nHost: x\r\n\r\n',
  );
  const ANSWERS = Buffer.from(
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n' +
      'HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
  );

  property('has heads as lines and bodies as bytes, however it is cut', async (holds) => {
    await holds(
      fc.property(fc.array(fc.nat(), { maxLength: 6 }), (cuts) => {
        const { provider, consumer } = httpDecoders();
        const asked = decoded(provider, REQUESTS, cuts);
        const told = decoded(consumer, ANSWERS, cuts);
        expect(firstLines(asked)).toEqual([
          ...['POST /a HTTP/1.1', 'HEAD /b HTTP/1.1', 'PUT /c HTTP/1.1', 'GET /d HTTP/1.1'],
        ]);
        expect(firstLines(told)).toEqual([
          ...['HTTP/1.1 100 Continue', 'HTTP/1.1 200 OK', 'HTTP/1.1 200 OK'],
          ...['HTTP/1.1 204 No Content', 'HTTP/1.1 404 Not Found'],
        ]);
        expect([bytesOf(asked), bytesOf(told)]).toEqual([REQUESTS, ANSWERS]);
      }),
    );
  });

  const firstLines = (pieces: readonly Piece[]) =>
    pieces.flatMap((piece) => (piece.kind === 'lines' ? [piece.lines[0]] : []));

  test('of a huge head, or of none, has its bytes', () => {
    const { provider } = httpDecoders();
    const huge = Buffer.from(`GET / HTTP/1.1\r\nX: ${'x'.repeat(2 ** 20)}`);
    const pieces = decoded(provider, huge, [100, 70_000, 300_000, 600_000]);
    expect(new Set(kinds(pieces))).toEqual(new Set(['bytes']));
    expect(bytesOf(pieces).equals(huge)).toBe(true);
    expect(kinds(provider.feed(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')))).toEqual([
      'lines',
    ]);
  });

  property('loses no byte of anything', async (holds) => {
    const some = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.constantFrom(
        REQUESTS,
        ANSWERS,
        Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
      ),
    );
    await holds(
      fc.property(fc.array(some), fc.array(fc.nat(), { maxLength: 4 }), (parts, cuts) => {
        const bytes = Buffer.concat(parts);
        const { provider, consumer } = httpDecoders();
        for (const decoder of [provider, consumer]) {
          expect(bytesOf(decoded(decoder, bytes, cuts)).equals(bytes)).toBe(true);
        }
      }),
    );
  });
});

describe('what is shown', () => {
  const told = (connection: string, text: string) => ({
    ...{ target: '/t', connection, to: 'provider' as const, time: 1_764_437_000_123_456, fds: 2 },
    bytes: Buffer.from(text).toString('base64'),
  });

  test('controls no terminal', () => {
    const [shown] = new Decoding('rest').take(told('p.1', 'GET /\x7f HTTP/1.1\r\n\r\n\x1b[2J'));
    if (!shown) throw new Error('nothing is shown');
    const text = shownText(shown);
    expect(text).not.toMatch(/[^\n\P{Cc}]/u);
    expect(text.split('\n')[0]).toBe('2025-11-29T17:23:20.123456Z p.1 → bytes: 23, descriptors: 2');
  });

  test('is of each connection by itself, and of no more than so many', () => {
    const decoding = new Decoding('rest');
    for (let i = 0; i < 3_000; i++) decoding.take(told(`p.${i}`, 'GET / HT'));
    expect(decoding.take(told('p.2999', 'TP/1.1\r\nHost: x\r\n\r\n'))[0]?.piece.kind).toBe('lines');
    expect(decoding.take(told('p.0', 'TP/1.1\r\nHost: x\r\n\r\n'))[0]?.piece.kind).toBe('bytes');
    expect(decoding.rest()).toHaveLength(1_022);
  });

  test('has a time to the microsecond', () => {
    expect(timeText(1_764_437_000_000_007)).toBe('2025-11-29T17:23:20.000007Z');
  });
});
