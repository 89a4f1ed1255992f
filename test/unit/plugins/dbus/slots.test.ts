/** Slots for connections that a bus has not registered yet: how they are shared out. */
import { expect, test } from 'vitest';
import { Buses, BusSlots, type LinkSlots } from '../../../../src/plugins/dbus/connections.js';

/** Takes as many; those that it gets. */
async function take(link: LinkSlots, count: number): Promise<(() => void)[]> {
  const got: (() => void)[] = [];
  for (let n = 0; n < count; n++) void link.acquire().then((free) => got.push(free));
  await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  return got;
}

test('one link has as many as a link may have, and never all of the bus', async () => {
  const slots = new BusSlots(undefined, 48);
  const [greedy, modest] = [slots.enter(), slots.enter()];
  expect(await take(greedy, 100)).toHaveLength(24);
  expect(await take(modest, 2)).toHaveLength(2);
  const only = new BusSlots(undefined, 48).enter();
  expect(await take(only, 100)).toHaveLength(32);
});

test('however many links take all they can, each of the others still has one', async () => {
  const slots = new BusSlots(undefined, 48);
  const links = Array.from({ length: 40 }, () => slots.enter());
  for (const greedy of links.slice(1)) expect(await take(greedy, 100)).toHaveLength(1);
  expect(await take(links[0] as LinkSlots, 1)).toHaveLength(1);
});

test('what is given back goes to who waits longest, and is given back once', async () => {
  const slots = new BusSlots(undefined, 2);
  const [one, two] = [slots.enter(), slots.enter()];
  const got = await take(one, 3);
  expect(got).toHaveLength(1);
  got[0]?.();
  got[0]?.();
  await new Promise((resolve) => setImmediate(resolve));
  expect(got).toHaveLength(2);
  expect(await take(two, 2)).toHaveLength(1);
});

test('a link that ends leaves its share to the others, and nobody of it waits', async () => {
  const slots = new BusSlots(undefined, 4);
  const [one, two] = [slots.enter(), slots.enter()];
  const [ofOne, ofTwo] = [await take(one, 4), await take(two, 4)];
  expect([ofOne.length, ofTwo.length]).toEqual([2, 2]);
  two.leave();
  await new Promise((resolve) => setImmediate(resolve));
  expect(ofTwo).toHaveLength(4);
  for (const free of ofTwo) free();
  await new Promise((resolve) => setImmediate(resolve));
  expect(ofOne).toHaveLength(4);
});

test('links share the slots of a bus if it is one socket of one provider, and nobody else does', async () => {
  const buses = new Buses();
  const [one, two] = [buses.enter('house', '/run/bus'), buses.enter('house', '/run/bus')];
  const elsewhere = [buses.enter('house', '/run/other'), new Buses().enter('house', '/run/bus')];
  expect(await take(one, 100)).toHaveLength(24);
  expect(await take(two, 100)).toHaveLength(24);
  for (const alone of elsewhere) expect(await take(alone, 100)).toHaveLength(32);
});

test("a bus that no link leads to any more is forgotten once, and not in its successor's place", async () => {
  const buses = new Buses();
  const before = buses.enter('house', '/run/bus');
  before.leave();
  const after = buses.enter('house', '/run/bus');
  before.leave();
  const other = buses.enter('house', '/run/bus');
  expect(await take(after, 100)).toHaveLength(24);
  expect(await take(other, 100)).toHaveLength(24);
});
