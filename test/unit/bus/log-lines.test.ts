/** The output of a program as lines of a log, at a limited rate. */
import { expect, it } from 'vitest';
import { LogLines } from '../../../src/bus/log-lines.js';

function collect() {
  const clock = { now: 0 };
  const said: string[] = [];
  const lines = new LogLines(
    (line) => said.push(line),
    () => clock.now,
  );
  return { clock, said, add: (text: string) => lines.add(Buffer.from(text)) };
}

it('puts together what comes in pieces, and leaves out what is empty', () => {
  const { said, add } = collect();
  for (const piece of ['one', ' line\n\ntw', 'o\n', 'never ended']) add(piece);
  expect(said).toEqual(['one line', 'two']);
});

it('says so many at once, then a few a second, and how many it left out', () => {
  const { clock, said, add } = collect();
  add('x\n'.repeat(1000));
  expect(said).toHaveLength(20);
  clock.now = 1;
  add('y\n');
  expect(said.slice(20)).toEqual(['980 lines more than a log should take were left out', 'y']);
});

it('holds no more than a line of what has no end', () => {
  const { said, add } = collect();
  for (let at = 0; at < 100; at++) add('z'.repeat(10_000));
  add('\n');
  expect(said).toEqual(['z'.repeat(2_000)]);
});
