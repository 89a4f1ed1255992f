/** The tables of docs/hostile-http.md, through the forwarder. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CountingProvider, outcome } from './counting-provider.js';
import { HOSTILE_ANSWERS } from './hostile-answers.js';
import { HOSTILE_REQUESTS } from './hostile-requests.js';
import { hostileTable } from './hostile-table.js';
import { reading, ScriptedProvider, twoRequests } from './scripted-provider.js';
import { exchange, Stand } from './stand.js';

describe('a hostile request:', () => {
  const table = hostileTable('Requests');
  let provider: CountingProvider;
  let stand: Stand;
  beforeAll(() => {
    provider = new CountingProvider();
    stand = new Stand(provider.accept);
  });
  afterAll(() => stand.close());

  test.each(HOSTILE_REQUESTS)('%s', async (name, bytes) => {
    provider.seen = [];
    const answer = await exchange(stand, bytes, true);
    expect(outcome(answer, provider.seen.length)).toBe(table.get(name)?.ours);
  });

  test.each(HOSTILE_REQUESTS)('a byte at a time: %s', async (name, bytes) => {
    if (bytes.length > 1000) return; // the long ones have their own test
    provider.seen = [];
    const answer = await exchange(stand, [...bytes], true);
    expect(outcome(answer, provider.seen.length)).toBe(table.get(name)?.ours);
  });

  test('has a row in the document, and every row is tried', () => {
    expect([...table.keys()]).toEqual(HOSTILE_REQUESTS.map(([name]) => name));
  });
});

describe('a hostile answer:', () => {
  const table = hostileTable('Answers');
  const provider = new ScriptedProvider();

  test.each(HOSTILE_ANSWERS)('$name', async ({ name, bytes, method, stays }) => {
    const stand = new Stand(provider.accept);
    provider.script(bytes, stays ?? false);
    const answer = await exchange(stand, twoRequests(method), true);
    expect(reading(answer, method === 'HEAD')).toBe(table.get(name)?.ours);
    stand.close();
  });

  test('has a row in the document, and every row is tried', () => {
    expect([...table.keys()]).toEqual(HOSTILE_ANSWERS.map(({ name }) => name));
  });
});
