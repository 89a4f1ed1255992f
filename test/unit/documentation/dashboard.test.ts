/** The dashboard of Grafana asks for nothing that the daemon does not say. */
import { EventEmitter } from 'eventemitter3';
import { expect, test } from 'vitest';
import { Metrics } from '../../../src/status/metrics.js';
import { StatusStore } from '../../../src/status/store.js';
import { DASHBOARD, queriesOf } from './dashboard.js';
import { rowsBelow } from './pages.js';

/** What Prometheus adds to every sample. */
const ADDED = ['job', 'instance'];
const FUNCTIONS = ['sum', 'min', 'rate', 'increase', 'histogram_quantile', 'by'];

/** Labels by metric, as docs/control-socket.md has them, which another test holds to the code. */
function documented(): Map<string, readonly string[]> {
  const link = ['consumer', 'service', 'target'];
  return new Map(
    rowsBelow('docs/control-socket.md', '| metric | type | labels |').flatMap(
      ([name = '', type, cell = '']): [string, string[]][] => {
        const bare = name.replaceAll('`', '');
        const own = [...cell.matchAll(/`(\w+)`/g)].map(([, label = '']) => label);
        const labels = [...(cell.startsWith('the same') ? link : []), ...own];
        if (type !== 'histogram') return [[bare, labels]];
        return ['bucket', 'sum', 'count'].map((part) => [`${bare}_${part}`, [...labels, 'le']]);
      },
    ),
  );
}

/** Names of metrics with the labels that are asked of each; those behind `by` are asked of all. */
function askedIn(query: string): [metric: string, labels: string[]][] {
  const grouped = [...query.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(', '),
  );
  const plain = query.replace(/\bby \([^)]*\)/g, '');
  const found = plain.matchAll(/([a-z_][a-z0-9_]*)(?:\{((?:[^}"]|"[^"]*")*)\})?/gi);
  return [...found].flatMap(([, name = '', selected = '']): [string, string[]][] => {
    if (FUNCTIONS.includes(name) || /^[hm]$/.test(name)) return [];
    const labels = [...selected.matchAll(/(\w+)(?:=~|!=|!~|=)"/g)].map(([, label = '']) => label);
    return [[name, [...labels, ...grouped]]];
  });
}

test('each query names metrics and labels that there are', async () => {
  const metrics = new Metrics({
    store: new StatusStore(new EventEmitter()),
    stats: () => null,
    health: { failing: false, counts: new Map() } as never,
  });
  const { text } = await metrics.render(undefined);
  const known = documented();
  for (const [, name = ''] of text.matchAll(/^# TYPE (process_\w+) /gm)) known.set(name, []);
  const queries = queriesOf((name) => (name === '__rate_interval' ? '1m' : 'x'));
  expect(queries.length).toBeGreaterThan(15);
  const asked = queries.flatMap((one) => askedIn(one.text).map((each) => [one, ...each] as const));
  expect(asked.length).toBe(queries.length);
  for (const [query, name, labels] of asked) {
    const all = [...(known.get(name) ?? ['there is no such metric']), ...ADDED];
    expect({ query, unknown: labels.filter((label) => !all.includes(label)) }).toEqual({
      query,
      unknown: [],
    });
    expect([query, known.has(name)]).toEqual([query, true]);
  }
});

test('each variable takes its values from a label that there is, and each that is used is one', () => {
  const known = documented();
  const names = DASHBOARD.templating.list.map(({ name }) => name);
  for (const { query } of DASHBOARD.templating.list) {
    const text = typeof query === 'string' ? query : query.query;
    const [, metric = '', label = ''] =
      /^label_values\((\w+)(?:\{.*\})?, (\w+)\)$/.exec(text) ?? [];
    if (text === 'prometheus') continue;
    expect([text, known.has(metric)]).toEqual([text, true]);
    expect([...(known.get(metric) ?? []), ...ADDED]).toContain(label);
  }
  const used = new Set<string>();
  queriesOf((name) => {
    used.add(name);
    return name;
  });
  used.delete('__rate_interval'); // Grafana's own
  expect([...used].filter((name) => !names.includes(name))).toEqual([]);
});
