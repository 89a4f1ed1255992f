import { describe, expect, test } from 'vitest';
import { type Frame, readFrame, readHeader } from '../../../../src/plugins/dbus/header.js';
import { fc, property } from '../../../support/property.js';
import {
  CALL,
  ERROR_NAME,
  encode,
  type FieldSpec,
  INTERFACE,
  MEMBER,
  type MessageSpec,
  PATH,
  REPLY_SERIAL,
  SENDER,
  text,
  word,
} from './encoder.js';

const BODY: FieldSpec = [8, 'g', 's'];

function read(bytes: Buffer, at = 0) {
  const frame = readFrame(bytes, at);
  if (typeof frame === 'string') return frame;
  return readHeader(bytes, at, frame);
}

const fault = (spec: MessageSpec) => read(encode(spec));

describe.each([true, false])('a message in the byte order "little: %s"', (little) => {
  test('is read where it stands, its body left alone', () => {
    const fields = [...CALL, SENDER, BODY, [9, 'u', 2] as const];
    const body = text('hello', little);
    const bytes = encode({ little, flags: 3, serial: 0x01020304, fields, body });
    for (const at of [0, 8, 24]) {
      const moved = Buffer.concat([Buffer.alloc(at, 0xff), bytes]);
      const frame = readFrame(moved, at) as Frame;
      expect(frame).toEqual({
        little,
        fields: expect.any(Number),
        header: bytes.length - body.length,
        total: bytes.length,
      });
      expect(readHeader(moved, at, frame)).toEqual({
        ...{ type: 1, flags: 3, serial: 0x01020304, little },
        ...{ path: '/org/example', interface: 'org.example.Foo', member: 'Bar' },
        ...{ destination: 'org.example.Foo', sender: ':1.42', signature: 's', fds: 2 },
      });
    }
  });

  test('may be of any type', () => {
    const reply = { little, type: 2, fields: [REPLY_SERIAL] };
    expect(fault(reply)).toMatchObject({ type: 2, replySerial: 7 });
    expect(fault({ little, type: 3, fields: [ERROR_NAME, REPLY_SERIAL] })).toMatchObject({
      errorName: 'org.example.Error',
    });
    expect(fault({ little, type: 4, fields: [PATH, INTERFACE, MEMBER] })).toMatchObject({
      type: 4,
    });
    expect(fault({ little, type: 200, fields: [] })).toMatchObject({ type: 200 });
  });

  test('may have fields that nobody knows', () => {
    const unknown: FieldSpec[] = [
      [10, 'o', '/org/example/container'],
      [77, 'y', Buffer.from([1])],
      [78, 'v', Buffer.from([1, 0x79, 0, 5])],
      [79, 'as', Buffer.concat([Buffer.alloc(3), word(10, little), text('hello', little)])],
      [80, '(yy)', Buffer.from([0, 1, 2])],
      [255, 'd', Buffer.alloc(4 + 8)],
    ];
    const bytes = encode({ little, fields: [PATH, ...unknown, MEMBER] });
    expect(read(bytes)).toMatchObject({ path: '/org/example', member: 'Bar' });
  });

  test('has limits', () => {
    const max = 64 * 1024 * 1024;
    expect(readFrame(encode({ little, fieldsLength: max }), 0)).toMatchObject({ fields: max });
    expect(readFrame(encode({ little, fieldsLength: max + 1 }), 0)).toMatch(/64 MiB/);
    const { header } = readFrame(encode({ little }), 0) as Frame;
    const bodyLength = 128 * 1024 * 1024 - header;
    expect(readFrame(encode({ little, bodyLength }), 0)).toMatchObject({ header });
    expect(readFrame(encode({ little, bodyLength: bodyLength + 1 }), 0)).toMatch(/128 MiB/);
  });
});

describe('a message is refused', () => {
  test.each<[string, MessageSpec, RegExp]>([
    ['of another protocol version', { version: 2 }, /version/],
    ['of type 0', { type: 0 }, /type 0/],
    ['with serial 0', { serial: 0 }, /serial/],
    ['that answers serial 0', { type: 2, fields: [[5, 'u', 0]] }, /serial/],
    ['with a body and no signature', { body: text('x') }, /signature/],
    ['that is a call without a path', { fields: [MEMBER] }, /"path"/],
    ['that is a call without a member', { fields: [PATH] }, /"member"/],
    ['that is a reply to nothing', { type: 2, fields: [] }, /"replySerial"/],
    ['that is an error without a name', { type: 3, fields: [REPLY_SERIAL] }, /"errorName"/],
    ['that is a signal without an interface', { type: 4, fields: [PATH, MEMBER] }, /"interface"/],
    ['with a field twice', { fields: [...CALL, [6, 's', 'org.example.Bar']] }, /twice/],
    ['with field 0', { fields: [...CALL, [0, 's', 'x']] }, /broken/],
    ['with a field of another type', { fields: [PATH, [3, 'o', '/Bar']] }, /broken/],
    ['with a field of two types', { fields: [PATH, [3, 'ss', Buffer.alloc(8)]] }, /broken/],
    ['with an unknown field that is broken', { fields: [...CALL, [99, 'x', 'abc']] }, /broken/],
    [
      'with an unknown field of no type',
      { fields: [...CALL, [99, 'k', Buffer.alloc(4)]] },
      /broken/,
    ],
    ['with an unknown field of two', { fields: [...CALL, [99, 'yy', Buffer.alloc(4)]] }, /broken/],
    ['with fields that end too early', { fieldsLength: 12 }, /broken/],
    ['with fields that end too late', { fields: [PATH, MEMBER], fieldsLength: 50 }, /broken/],
    [
      'with a text that is longer than the fields',
      { fields: [PATH, [3, 's', word(9, true)]] },
      /broken/,
    ],
    ['with a path that is none', { fields: [[1, 'o', '/org/'], MEMBER] }, /"path"/],
    ['with an empty element in its path', { fields: [[1, 'o', '/a//b'], MEMBER] }, /"path"/],
    [
      'with an interface of one element',
      { fields: [...CALL.slice(0, 1), [2, 's', 'org'], MEMBER] },
      /"interface"/,
    ],
    ['with a member with a dot', { fields: [PATH, [3, 's', 'a.b']] }, /"member"/],
    ['with a NUL in its member', { fields: [PATH, [3, 's', 'a\0b']] }, /"member"/],
    [
      'with a receiver of 256 bytes',
      { fields: [PATH, MEMBER, [6, 's', `a.${'b'.repeat(254)}`]] },
      /"destination"/,
    ],
    [
      'with a receiver that is no name',
      { fields: [PATH, MEMBER, [6, 's', 'org..x']] },
      /"destination"/,
    ],
    ['with a signature that is none', { fields: [...CALL, [8, 'g', 'a']] }, /"signature"/],
    [
      'with a signature nested too deep',
      { fields: [...CALL, [8, 'g', `${'a'.repeat(33)}y`]] },
      /"signature"/,
    ],
  ])('%s', (_title, spec, expected) => expect(fault(spec)).toMatch(expected));

  test('that begins with another byte than l or B', () => {
    expect(read(Buffer.alloc(16))).toMatch(/byte order/);
  });

  test('with anything but zeros between its fields and at their end', () => {
    const bytes = encode({ fields: [PATH, MEMBER] });
    const zeros = [...bytes.keys()].filter((at) => at >= 16 && bytes[at] === 0);
    const padding = zeros.filter((at) => {
      const changed = Buffer.from(bytes);
      changed[at] = 1;
      return typeof read(changed) === 'string';
    });
    expect(padding).toEqual(zeros); // lengths, ends of texts and padding alike
  });
});

property('bytes changed anywhere never throw, and are a header or a sentence', async (holds) => {
  const whole = encode({ fields: [...CALL, SENDER, BODY, [9, 'u', 0]], body: text('hello') });
  const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
  await holds(
    fc.property(fc.array(change, { maxLength: 6 }), fc.boolean(), (changes, swap) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of changes) bytes[at] = value;
      if (swap) bytes[0] = 0x42;
      const frame = readFrame(bytes, 0);
      if (typeof frame === 'string' || frame.header > bytes.length) return;
      const header = readHeader(bytes, 0, frame);
      if (typeof header === 'string') expect(header).toMatch(/\.$/);
      else expect(header.serial).toBeGreaterThan(0);
    }),
    { runs: 2_000 },
  );
});
