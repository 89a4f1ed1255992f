/** Names owned on hosted buses, and cycles among owners that are started on demand. */
import { describe, expect, it } from 'vitest';
import { busNames } from '../../../src/graph/bus-names.js';
import { ProblemList } from '../../../src/manifest/problem-list.js';
import { brief, graphFrom, requires, revisionFrom, services } from '../manifest/scratch.js';

const HOSTED = { hostedBus: { socket: '/run/bus' } };

function owner(name: string, mode: 'always' | 'on-demand' = 'on-demand') {
  return { type: 'dbus', owns: `org.example.${name}`, role: name, activation: { mode } };
}

function exported(name: string) {
  return { name, type: 'unix', socket: `/run/${name}` };
}

/** Containers that own a name on demand, export a socket, and require those of others. */
function ring(edges: Record<string, readonly string[]>, extra: Record<string, unknown> = {}) {
  const files: Record<string, unknown> = {};
  for (const [name, needs] of Object.entries(edges)) {
    files[`${name}/services.json`] = services(owner(name), exported(name));
    files[`${name}/run.json`] = requires(...needs);
  }
  return graphFrom({ ...files, ...extra });
}

function cycles(graph: ReturnType<typeof graphFrom>): string[] {
  return graph.problems.map(
    ({ code, found }) => `${code} ${found.replace(/^the cycle | of.*/g, '')}`,
  );
}

describe('a bus name', () => {
  it('belongs to its first owner, on each bus by itself', () => {
    const revision = revisionFrom({
      'a/services.json': services(owner('X'), { ...owner('X'), bus: 'session' }),
      'b/services.json': services(owner('X'), owner('Y')),
    });
    const problems = new ProblemList();
    const names = busNames(revision, problems);
    expect(names.map(({ container, bus, name }) => `${container} ${bus} ${name}`)).toEqual([
      'a system-bus org.example.X',
      'a session org.example.X',
      'b system-bus org.example.Y',
    ]);
    expect(brief(problems.list())).toEqual([
      'error bus-name-duplicate b/services.json:/services/0/owns',
    ]);
  });
});

describe('a cycle of on-demand activations', () => {
  it('is named once, from its first container on', () => {
    expect(cycles(ring({ b: ['c'], c: ['a'], a: ['b'] }))).toEqual([
      'activation-cycle a -> b -> c -> a',
    ]);
  });

  it('takes no link out', () => {
    expect(ring({ a: ['b'], b: ['a'] }).links).toHaveLength(2);
  });

  it('is found behind a chain, and each of two is', () => {
    const graph = ring({ a: ['b'], b: ['c'], c: ['b'], d: ['e'], e: ['d'], f: [] });
    expect(cycles(graph)).toEqual(['activation-cycle b -> c -> b', 'activation-cycle d -> e -> d']);
  });

  it.each([
    ['a chain', { a: ['b'], b: ['c'], c: [] }, {}],
    ['a diamond', { a: ['b', 'c'], b: ['d'], c: ['d'], d: [] }, {}],
    ['a container that requires itself', { a: ['a'] }, {}],
    [
      'one that is always on',
      { a: ['b'], b: ['a'] },
      { 'b/services.json': services(owner('b', 'always'), exported('b')) },
    ],
    [
      'one requirement that is optional',
      { a: ['b'], b: [] },
      { 'b/run.json': { services: { optional: ['a'] } } },
    ],
  ])('is not %s', (_, edges, extra) => {
    expect(ring(edges, extra).problems).toEqual([]);
  });

  it('may lead over names of the hosted bus', () => {
    const needs = (name: string) =>
      requires({ name: 'system-bus', interface: `org.example.${name}` });
    const graph = graphFrom(
      {
        'a/services.json': services(owner('a')),
        'a/run.json': needs('b'),
        'b/services.json': services(owner('b')),
        'b/run.json': needs('a'),
      },
      HOSTED,
    );
    expect(cycles(graph)).toEqual(['activation-cycle a -> b -> a']);
  });

  it('is found in a ring of thousands without recursion', () => {
    const size = 5000;
    const edges = Object.fromEntries(
      Array.from({ length: size }, (_, at) => [`c${at}`, [`c${(at + 1) % size}`]]),
    );
    expect(ring(edges).problems).toMatchObject([{ code: 'activation-cycle' }]);
  });
});
