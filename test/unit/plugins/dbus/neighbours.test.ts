/** A flood of refused calls, and how much it delays other links. */
import { expect, test } from 'vitest';
import { writeMessage } from '../../../../src/plugins/dbus/message-writer.js';
import { WorkBudget } from '../../../../src/plugins/dbus/work-budget.js';
import { headersOf, policySession } from './policy-session.js';

const CONNECTIONS = 4;
const CALLS = 400;
/** Of one link in one turn, see work-budget.ts. */
const IN_TURN = 64;

const call = (serial: number) =>
  writeMessage({ type: 1, serial, destination: 'a.b', path: '/', interface: 'a.b', member: 'C' });
const flood = Buffer.concat(Array.from({ length: CALLS }, (_, count) => call(count + 2)));
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('many refused calls by many connections of one link wait for the one call of another', async () => {
  const work = new WorkBudget();
  const greedy = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => policySession({}, {}, true, work)),
  );
  const innocent = await policySession({});
  await turn();
  for (const { consumer } of greedy) consumer.feed(flood);
  innocent.consumer.feed(call(2));
  const answered = () => greedy.reduce((sum, { refused }) => sum + refused.length, 0);
  expect(answered()).toBeLessThanOrEqual(IN_TURN + CONNECTIONS);
  expect(headersOf(innocent.consumer.take())).toMatchObject([{ replySerial: 2 }]);

  for (let before = answered(); before < CONNECTIONS * CALLS; before = answered()) {
    innocent.consumer.feed(call(2));
    expect(innocent.consumer.take().length).toBeGreaterThan(0);
    await turn();
    expect(answered() - before).toBeLessThanOrEqual(IN_TURN);
    expect(answered()).toBeGreaterThan(before);
  }
  for (const { consumer } of greedy) {
    const serials = headersOf(consumer.take()).map(({ replySerial }) => replySerial);
    expect(serials).toEqual(Array.from({ length: CALLS }, (_, count) => count + 2));
  }
});

test('answers that are made together leave in one write', async () => {
  const { consumer } = await policySession({ talk: ['a.c'] });
  const before = consumer.writes;
  consumer.feed(Buffer.concat([2, 3, 4, 5].map(call)));
  expect(headersOf(consumer.take())).toHaveLength(4);
  expect(consumer.writes - before).toBe(1);
});
