/** The Wayland wire format: what we write reads as it was meant, and nothing that is read can do harm. */
import { describe, expect, test } from 'vitest';
import { ArgumentReader, request, WaylandReader } from '../../../src/plugins/wayland/messages.js';
import { fc, property } from '../../support/property.js';

const word = fc.integer({ min: 0, max: 0xffff_ffff });
const text = fc.string({ maxLength: 200, unit: 'grapheme' }).filter((one) => !one.includes('\0'));
const one = fc.record({
  object: word,
  opcode: fc.nat(0xffff),
  args: fc.array(fc.oneof(word, text), { maxLength: 8 }),
});

/** Cut at these places. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length));
}

describe('Wayland messages', () => {
  property('come out as they were written, however the stream was cut', async (holds) => {
    await holds(
      fc.property(
        fc.array(one, { maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 9 }),
        (all, cuts) => {
          const bytes = Buffer.concat(
            all.map(({ object, opcode, args }) => request(object, opcode, ...args)),
          );
          const reader = new WaylandReader();
          const read = pieces(bytes, cuts).flatMap((piece) => reader.push(piece) ?? [null]);
          expect(read.length).toBe(all.length);
          for (const [i, { object, opcode, args }] of all.entries()) {
            const message = read[i];
            expect(message).toMatchObject({ object, opcode });
            const arguments_ = new ArgumentReader(message?.body ?? Buffer.alloc(0));
            for (const arg of args) {
              expect(typeof arg === 'string' ? arguments_.text() : arguments_.word()).toBe(arg);
            }
            expect(arguments_.fault).toBe(false);
            arguments_.word();
            expect(arguments_.fault).toBe(true);
          }
        },
      ),
    );
  });

  property('of anybody’s making are read or refused, never more than that', async (holds) => {
    await holds(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (chunks) => {
        const reader = new WaylandReader();
        for (const chunk of chunks) {
          const messages = reader.push(Buffer.from(chunk));
          if (!messages) return;
          for (const { body } of messages) {
            expect(body.length).toBeLessThanOrEqual(0xffff);
            const read = new ArgumentReader(body);
            for (let i = 0; i < 20; i++) i % 2 ? read.text() : read.word();
            expect(read.fault || body.length >= 80).toBe(true);
          }
        }
      }),
      { runs: 2_000 },
    );
  });

  test.each([
    ['shorter than its head', 7],
    ['of no whole words', 13],
  ])('that say they are %s end the conversation', (_what, size) => {
    const bytes = Buffer.from(new Uint32Array([1, (size << 16) >>> 0]).buffer);
    expect(new WaylandReader().push(bytes)).toBeNull();
  });

  test('of the greatest size are held, and no more than that', () => {
    const reader = new WaylandReader();
    const head = Buffer.from(new Uint32Array([1, 0xfffc_0000]).buffer);
    expect(reader.push(head)).toEqual([]);
    expect(reader.push(Buffer.alloc(0xfffc - 8))?.[0]?.body.length).toBe(0xfffc - 8);
  });
});
