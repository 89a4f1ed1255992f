/** How much of a link's messages is looked at in one turn of the event loop. */
import { expect, test } from 'vitest';
import { WorkBudget } from '../../../../src/plugins/dbus/work-budget.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('floods by many connections cost as much a turn as one, and all come on', async () => {
  const work = new WorkBudget();
  const done = [0, 0, 0, 0];
  let inTurn = 0;
  const flood = (who: number) => {
    do {
      done[who] = (done[who] as number) + 1;
      inTurn++;
    } while (work.spend(100));
    work.wait(() => flood(who));
  };
  for (const who of done.keys()) flood(who);
  for (let n = 0; n < 400; n++) {
    inTurn = 0;
    await turn();
    expect(inTurn).toBeLessThanOrEqual(64);
  }
  expect(Math.max(...done) - Math.min(...done)).toBeLessThanOrEqual(2 * 64);
});

test('a long message counts for many', async () => {
  const work = new WorkBudget();
  expect(work.spend(60 * 1024)).toBe(true);
  expect(work.spend(60 * 1024)).toBe(false);
  await turn();
  expect(work.spend(1)).toBe(true);
});
