/** Descriptors stay with the byte that they were sent with, whatever the sizes, the pace and the direction. */
import { describe, expect, test } from 'vitest';
import { fc, property } from '../../support/property.js';
import { eventually } from '../../support/wait.js';
import { type Joined, join, type Message, openFds, useRelay } from './support.js';

const size = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 64 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 20_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(16_383, 16_384, 16_385, 65_536, 300_000) },
);
const count = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: fc.integer({ min: 5, max: 253 }) },
);
const sequence = fc.array(fc.tuple(size, count), { minLength: 1, maxLength: 60 });

describe('descriptors through the relay', () => {
  const at = useRelay();

  /** Both ends say and hear at once, to the ends of both streams. */
  async function exchange(
    { consumer, provider }: Joined,
    there: readonly Message[],
    back: readonly Message[],
    { seed = 1, pauses = false } = {},
  ): Promise<void> {
    const job = { do: 'talk', pauses };
    await Promise.all([
      at.peers.do({ ...job, say: there, seed, hear: back, from: -seed }, consumer),
      at.peers.do({ ...job, say: back, seed: -seed, hear: there, from: seed }, provider),
    ]);
  }

  test('go both ways', async () => {
    await exchange(join(at.relay), [[5, 1]], [[7, 2]]);
  });

  test.each([200, 253])('arrive %i in one message', async (fds) => {
    await exchange(
      join(at.relay),
      [
        [1, fds],
        [100, 0],
      ],
      [[40_000, fds]],
    );
  });

  property(
    'stay with their byte in messages of mixed sizes, at any pace, both ways',
    async (holds) => {
      const kept = fc.asyncProperty(
        sequence,
        sequence,
        fc.integer({ min: 1, max: 1e9 }),
        fc.boolean(),
        (there, back, seed, pauses) => exchange(join(at.relay), there, back, { seed, pauses }),
      );
      await holds(kept, { runs: 60 });
    },
  );

  property('stay with their records in mode seqpacket', async (holds) => {
    const records = fc.array(fc.tuple(fc.integer({ min: 1, max: 70_000 }), count), {
      minLength: 1,
      maxLength: 40,
    });
    const kept = fc.asyncProperty(
      records,
      records,
      fc.integer({ min: 1, max: 1e9 }),
      (there, back, seed) => exchange(join(at.relay, { type: 'seqpacket' }), there, back, { seed }),
    );
    await holds(kept, { runs: 30 });
  });

  test('wait in order behind a reader that is slow', async () => {
    const messages: Message[] = Array.from({ length: 400 }, (_, i) => [
      i % 7 ? 900 : 60_000,
      i % 5,
    ]);
    await exchange(join(at.relay), messages, messages, { seed: 3, pauses: true });
  });

  test('are not kept open here once they have passed', async () => {
    const open = () => `${openFds()} ${openFds(at.process.pid)}`;
    const before = open();
    for (let seed = 1; seed < 6; seed++) {
      await exchange(
        join(at.relay),
        [
          [10, 253],
          [10, 253],
        ],
        [[10, 253]],
        { seed },
      );
    }
    await eventually(() => expect(open()).toBe(before));
  });
});
