/** The pure parts of the page: what it knows and finds, and where things stand in its picture. */
import { describe, expect, test } from 'vitest';
import { ago, bytes } from '../../../src/web/page/format.js';
import { columnsOf, Layout, type Place } from '../../../src/web/page/layout.js';
import { inOrder, type Link, Model, matcher, stateOf } from '../../../src/web/page/model.js';
import {
  at,
  boxesOf,
  choiceOf,
  labelOf,
  nextNode,
  restated,
  sceneOf,
} from '../../../src/web/page/scene.js';
import type { Occurrence, Row } from '../../../src/web/wire.js';

const ROW: Row = {
  ...{ key: 1, consumer: 'client', provider: 'server', name: 'raw', type: 'unix', role: 'any' },
  ...{ target: '/run/raw.sock', state: 'established', since: '', error: null },
};
const NOTHING = { links: [], counters: [], gone: [], occurrences: [], daemon: null };

function modelOf(...rows: Partial<Row>[]): Model {
  const model = new Model((tell) => tell());
  const links = rows.map((row, index) => ({ ...ROW, key: index + 1, ...row }));
  model.apply({ ...NOTHING, links }, true);
  return model;
}

describe('the model', () => {
  test('keeps the counters of a link whose state is another one', () => {
    const model = modelOf({});
    model.apply({ ...NOTHING, counters: [[1, 2, 3, 4, 5, 6, 7, 8, 9]] }, false);
    model.apply({ ...NOTHING, links: [{ ...ROW, state: 'failed' }] }, false);
    expect(model.links.get(1)).toMatchObject({ state: 'failed', active: 2, toConsumerRate: 9 });
  });

  test('keeps a bounded number of occurrences', () => {
    const model = modelOf();
    for (let number = 0; number < 10_000; number += 100) {
      const occurrences = Array.from({ length: 100 }, (_, index) => ({ number: number + index }));
      model.apply({ ...NOTHING, occurrences: occurrences as Occurrence[] }, false);
    }
    expect(model.occurrences.map(({ number }) => number)).toEqual(
      Array.from({ length: 200 }, (_, index) => 9_800 + index),
    );
  });

  test('tells its listeners once a frame, however much has changed', () => {
    const frames: (() => void)[] = [];
    const model = new Model((tell) => frames.push(tell));
    let told = 0;
    model.listen(() => told++);
    for (let change = 0; change < 100; change++) model.apply(NOTHING, false);
    expect(frames).toHaveLength(1);
    frames[0]?.();
    expect(told).toBe(1);
  });

  test('has those first that need somebody', () => {
    const model = modelOf(
      { consumer: 'b10' },
      { consumer: 'b9' },
      { state: 'failed' },
      { state: 'unmet' },
      { state: 'of a newer version' },
    );
    expect(inOrder(model.links.values()).map(({ key }) => key)).toEqual([3, 4, 5, 2, 1]);
    expect(stateOf('of a newer version')).toBe('waiting');
  });

  test.each([
    ['', true],
    ['RAW', true],
    ['client server', true],
    ['client nothing', false],
    ['target-occupied', true],
    ['/run/raw', true],
  ])('finds by words: %j', (text, found) => {
    const error = { code: 'target-occupied', message: '', remedy: '' };
    const [link] = modelOf({ error }).links.values();
    expect(matcher({ text, states: new Set() })(link as Link)).toBe(found);
    expect(matcher({ text, states: new Set(['failed']) })(link as Link)).toBe(false);
  });
});

describe('a layout', () => {
  const settled = (ids: string[], edges: [string, string][], before = new Map<string, Place>()) => {
    const boxes = ids.map((id) => ({ id, width: 150, height: 46 }));
    const joined = edges.map(([from, to]) => ({ from, to }));
    const layout = new Layout(boxes, joined, before, 1.2);
    while (layout.step());
    return layout.places();
  };
  const overlaps = (places: ReadonlyMap<string, Place>) => {
    const all = [...places.values()];
    return all.flatMap((one, index) =>
      all
        .slice(index + 1)
        .filter((other) => Math.abs(one.x - other.x) < 150 && Math.abs(one.y - other.y) < 46),
    ).length;
  };

  test('has consumers to the left of their providers, and is the same each time', () => {
    const edges: [string, string][] = [
      ['app', 'api'],
      ['api', 'store'],
      ['app', 'store'],
    ];
    const places = settled(['store', 'api', 'app'], edges);
    const x = (id: string) => places.get(id)?.x ?? 0;
    expect(x('app')).toBeLessThan(x('api'));
    expect(x('api')).toBeLessThan(x('store'));
    expect(settled(['store', 'api', 'app'], edges)).toEqual(places);
    expect(overlaps(places)).toBe(0);
  });

  test('puts nobody on anybody, of 300 with 1,000 links', () => {
    const ids = Array.from({ length: 300 }, (_, index) => `c${index}`);
    const edges = Array.from({ length: 1_000 }, (_, index): [string, string] => {
      return [`c${index % 300}`, `c${(index * 7 + 1) % 300}`];
    });
    const places = settled(ids, edges);
    expect(places.size).toBe(300);
    expect(overlaps(places)).toBe(0);
    expect([...places.values()].every(({ x, y }) => Number.isFinite(x + y))).toBe(true);
  });

  test('leaves those about where they were, when another one comes', () => {
    const ids = ['a', 'b', 'c', 'd'];
    const before = settled(ids, [
      ['a', 'b'],
      ['c', 'd'],
    ]);
    const after = settled(
      [...ids, 'e'],
      [
        ['a', 'b'],
        ['c', 'd'],
        ['e', 'b'],
      ],
      before,
    );
    for (const id of ids) {
      expect(Math.abs((after.get(id)?.x ?? 0) - (before.get(id)?.x ?? 0))).toBeLessThan(100);
    }
  });

  test('survives circles and links to oneself', () => {
    const places = settled(
      ['a', 'b'],
      [
        ['a', 'b'],
        ['b', 'a'],
        ['a', 'a'],
      ],
    );
    expect(places.size).toBe(2);
    expect(columnsOf(['a', 'b'], [{ from: 'a', to: 'b' }], 8)).toEqual(
      new Map([
        ['a', 0],
        ['b', 1],
      ]),
    );
  });
});

describe('a scene', () => {
  const scene = (...rows: Partial<Row>[]) => {
    const links = [...modelOf(...rows).links.values()];
    const boxes = boxesOf(links, (text) => text.length * 7);
    const places = new Map(boxes.map(({ id }, index) => [id, { x: index * 400, y: 0 }]));
    return { links, boxes, scene: sceneOf(links, boxes, places) };
  };

  test('has a box for each container with the worst of its states, and a line for each link', () => {
    const { scene: made } = scene({}, { name: 'other', state: 'failed' }, { consumer: 'calm' });
    expect(made.nodes.map(({ id, state, detail }) => [id, state, detail])).toEqual([
      ['client', 'failed', 'uses 2'],
      ['server', 'failed', 'serves 3'],
      ['calm', 'established', 'uses 1'],
    ]);
    expect(made.lines.map(({ from, to, state }) => [from, to, state])).toEqual([
      ['client', 'server', 'established'],
      ['client', 'server', 'failed'],
      ['calm', 'server', 'established'],
    ]);
  });

  test('has a line to nobody for what nobody provides, one for each', () => {
    const { scene: made } = scene({ provider: '', state: 'unmet' }, { provider: '', name: 'b' });
    expect(made.nodes.map(({ label, special }) => [label, special])).toEqual([
      ['client', false],
      ['nobody', true],
      ['nobody', true],
    ]);
  });

  test('finds what is at a point, and the next container in a direction', () => {
    const { scene: made } = scene({});
    const [client, server] = made.nodes;
    const wayOf = ({ curve }: (typeof made.lines)[number]) => curve;
    expect(at(made, 0, 0, 8, wayOf)).toEqual({ node: client });
    expect(at(made, 200, 2, 8, wayOf)).toEqual({ line: made.lines[0] });
    expect(at(made, 200, 40, 8, wayOf)).toBeNull();
    expect(nextNode(made, client, 1, 0)).toBe(server);
    expect(nextNode(made, client, -1, 0)).toBe(client);
  });

  test('takes new states without a new layout, and only of the same links', () => {
    const { scene: made, links } = scene({}, { name: 'other' });
    const later = links.map((link) => ({ ...link, state: 'failed' }));
    const boxes = boxesOf(later, (text) => text.length * 7);
    const next = restated(made, new Map(later.map((link) => [link.key, link])), boxes);
    expect(next?.lines.map(({ state, curve }) => [state, curve])).toEqual(
      made.lines.map(({ curve }) => ['failed', curve]),
    );
    expect(next?.nodes.map(({ state }) => state)).toEqual(['failed', 'failed']);
    expect(restated(made, new Map([[1, later[0] as Link]]), boxes)).toBeNull();
  });

  test('shows hostile names as text that can be seen', () => {
    expect(labelOf('a\u202eb\u0000')).toBe('a\\u202eb\\u0000');
    expect(labelOf('x'.repeat(200))).toHaveLength(26);
    expect(labelOf('')).toBe('""');
    expect(labelOf('  ')).toBe('\\u0020\\u0020');
    expect(labelOf('a  b ')).toBe('a\\u0020 b\\u0020');
    expect(labelOf('\u3164\u2800\u00a0\ufe0f')).toBe('\\u3164\\u2800\\u00a0\\ufe0f');
    expect(labelOf('my app')).toBe('my app');
  });

  test('takes a box for its container, and that of nobody for its link', () => {
    const { scene: made, links } = scene({ consumer: 'nobody 1', provider: '', state: 'unmet' });
    expect(made.nodes.map(choiceOf)).toEqual([{ container: 'nobody 1' }, { link: links[0]?.key }]);
  });
});

test('values are as people read them', () => {
  expect([0, 999, 1_024, 20_480, 5 * 1024 ** 4].map(bytes)).toEqual([
    ...['0 B', '999 B', '1.0 KiB', '20 KiB', '5.0 TiB'],
  ]);
  const now = Date.parse('2026-11-23T10:00:00Z');
  const before = ['2026-11-23T09:59:30Z', '2026-11-23T09:00:00Z', '2026-11-20T10:00:00Z', 'never'];
  expect(before.map((iso) => ago(iso, now))).toEqual(['30 s', '1 h', '3 d', '']);
});
