/** What is known of the mesh, and the differences that browsers are sent. */
import { describe, expect, test } from 'vitest';
import { Model } from '../../../src/web/page/model.js';
import { type LinkEvent, Picture } from '../../../src/web/picture.js';
import { MAX_OCCURRENCES } from '../../../src/web/wire.js';
import { fc, property } from '../../support/property.js';
import { live } from './live.js';

const EVENT: LinkEvent = {
  ...{ consumer: 'client', name: 'raw', target: '/run/raw.sock' },
  ...{ state: 'waiting', since: '2026-11-23T10:00:01.000Z', last_error: null },
};

describe('a picture', () => {
  test('tells only what has changed since a step', () => {
    const picture = new Picture();
    picture.replace([live(), live({ name: 'other' })], 0);
    const { step } = picture;
    expect(picture.since(0)).toMatchObject({ links: [{ key: 1 }, { key: 2 }] });
    picture.replace([live({ state: 'waiting' }), live({ name: 'other' })], 1_000);
    expect(picture.since(step)).toMatchObject({
      ...{ links: [{ key: 1, state: 'waiting' }], counters: [], gone: [], occurrences: [] },
    });
    expect(picture.since(picture.step)).toMatchObject({ links: [], counters: [], gone: [] });
  });

  test('has the rates of counters, which never are below zero', () => {
    const picture = new Picture();
    const counted = (to_provider: number, to_consumer: number, now: number) => {
      const { step } = picture;
      picture.replace([live({ bytes: { to_provider, to_consumer } })], now);
      return picture.since(step)?.counters;
    };
    counted(100, 0, 0);
    expect(counted(1_100, 50, 2_000)).toEqual([[1, 0, 0, 0, 0, 1_100, 50, 500, 25]]);
    expect(counted(1_100, 50, 3_000)).toEqual([[1, 0, 0, 0, 0, 1_100, 50, 0, 0]]);
    expect(counted(1_100, 50, 4_000)).toEqual([]);
    // The daemon was started again.
    expect(counted(10, 0, 5_000)).toEqual([[1, 0, 0, 0, 0, 10, 0, 0, 0]]);
  });

  test('takes an event at once, and asks for the graph where it does not know the link', () => {
    const picture = new Picture();
    expect(picture.apply(EVENT, false, 0)).toBe(false);
    picture.replace([live()], 0);
    const { step } = picture;
    expect(picture.apply(EVENT, false, 0)).toBe(true);
    expect(picture.since(step)).toMatchObject({
      links: [{ key: 1, state: 'waiting', provider: 'server' }],
      occurrences: [{ number: 2, key: 1, state: 'waiting' }],
    });
    expect(picture.apply(EVENT, true, 0)).toBe(true);
    expect(picture.since(step)).toMatchObject({ links: [], gone: [1] });
  });

  test('keeps a bounded number of what is over, and sends everything to whoever is too far behind', () => {
    const picture = new Picture();
    picture.replace([live()], 0);
    const { step } = picture;
    for (let round = 0; round < 5_000; round++) {
      picture.replace([live({ name: `service-${round}` })], round);
      picture.apply({ ...EVENT, name: `service-${round}` }, false, round);
    }
    expect(picture.size).toBeLessThanOrEqual(1 + 4_096 + MAX_OCCURRENCES);
    expect(picture.since(step)).toBeNull();
    expect(picture.since(0)).toMatchObject({ links: [{ name: 'service-4999' }], gone: [] });
  });

  test('says whether the daemon answers, and since when', () => {
    const picture = new Picture();
    expect(picture.since(0)?.daemon).toBeNull();
    picture.setProblem('It is away.', 0);
    picture.setProblem('It is still away.', 1_000);
    expect(picture.since(0)?.daemon).toEqual({
      problem: 'It is still away.',
      since: '1970-01-01T00:00:00.000Z',
    });
    const { step } = picture;
    picture.setProblem('It is still away.', 2_000);
    expect(picture.step).toBe(step);
    picture.setProblem(null, 3_000);
    expect(picture.since(0)?.daemon).toEqual({ problem: null, since: '1970-01-01T00:00:03.000Z' });
  });
});

const link = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd'),
  state: fc.constantFrom('established', 'waiting', 'failed'),
  bytes: fc.record({ to_provider: fc.nat(100), to_consumer: fc.nat(100) }),
});
const happening = fc.record({
  graph: fc.uniqueArray(link, { selector: ({ name }) => name }),
  event: fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), gone: fc.boolean() }),
  // Browsers that read now: 1 is quick, 2 is slow.
  reads: fc.constantFrom<number[]>([1], [1, 2]),
});

property('however slowly a browser reads, in the end it has what there is', async (holds) => {
  await holds(
    fc.property(fc.array(happening, { maxLength: 20 }), (happenings) => {
      const picture = new Picture();
      const browsers = new Map([1, 2].map((id) => [id, { model: new Model(() => {}), step: 0 }]));
      const read = (id: number) => {
        const browser = browsers.get(id);
        const change = browser && picture.since(browser.step);
        if (!change) throw new Error('it has all');
        browser.model.apply(change, browser.step === 0);
        browser.step = picture.step;
      };
      for (const [now, { graph, event, reads }] of happenings.entries()) {
        picture.replace(
          graph.map((one) => live(one)),
          now * 1_000,
        );
        picture.apply({ ...EVENT, name: event.name }, event.gone, now * 1_000);
        for (const id of reads) read(id);
      }
      for (const id of [1, 2]) read(id);
      const all = new Model(() => {});
      all.apply(picture.since(0) ?? expect.fail(), true);
      const byKey = ({ links }: Model) => [...links.values()].sort((a, b) => a.key - b.key);
      for (const { model } of browsers.values()) expect(byKey(model)).toEqual(byKey(all));
    }),
  );
});
