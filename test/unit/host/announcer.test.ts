/** How a link is said to be, out of its two ends. */
import { describe, expect, test } from 'vitest';
import { Announcer } from '../../../src/host/announcer.js';

const MISSING = { code: 'provider-socket-missing', message: 'm' } as const;
const LOST = { code: 'target-lost', message: 'l' } as const;
const SICK = { code: 'provider-unhealthy', message: 's' } as const;

function stand() {
  const told: [string, string | null][] = [];
  const announcer = new Announcer((state, error) => told.push([state, error?.code ?? null]));
  return { told, announcer };
}

describe('the state of a link', () => {
  test('is not said before it is asked for, nor before its provider was spoken of', () => {
    const { told, announcer } = stand();
    announcer.target(LOST);
    announcer.announce();
    expect(told).toEqual([]);
    announcer.say({ error: MISSING, waits: true });
    expect(told).toEqual([['failed', 'target-lost']]);
  });

  test('begins with what its provider said before', () => {
    const { told, announcer } = stand();
    announcer.say({ error: MISSING, waits: true });
    announcer.say({ error: null });
    expect(told).toEqual([]);
    announcer.announce();
    expect(told).toEqual([['established', null]]);
  });

  test('is that of its provider, but failed while its target is lost', () => {
    const { told, announcer } = stand();
    announcer.announce();
    announcer.say({ error: null });
    announcer.target(LOST);
    announcer.say({ error: MISSING, waits: true });
    announcer.target(null);
    expect(told).toEqual([
      ['established', null],
      ['failed', 'target-lost'],
      ['failed', 'target-lost'],
      ['waiting', 'provider-socket-missing'],
    ]);
  });

  test('is failed while a provider that is there is not well', () => {
    const { told, announcer } = stand();
    announcer.announce();
    announcer.say({ error: null });
    announcer.health(SICK);
    announcer.say({ error: MISSING });
    announcer.say({ error: null });
    announcer.health(null);
    expect(told).toEqual([
      ['established', null],
      ['failed', 'provider-unhealthy'],
      ['failed', 'provider-socket-missing'],
      ['failed', 'provider-unhealthy'],
      ['established', null],
    ]);
  });

  test('is established once its provider lets the consumer in', async () => {
    const { told, announcer } = stand();
    let answer = (_error: null) => {};
    announcer.verify(() => new Promise((resolve) => (answer = resolve)));
    announcer.announce();
    announcer.say({ error: null });
    expect(told).toEqual([]);
    answer(null);
    await turn();
    expect(told).toEqual([['established', null]]);
  });

  test('is not said any more when the link has ended', () => {
    const { told, announcer } = stand();
    announcer.announce();
    announcer.close();
    announcer.say({ error: null });
    announcer.target(LOST);
    expect(told).toEqual([]);
  });
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
