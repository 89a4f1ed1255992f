/** How containers of an engine are called, whom the names in labels mean, and which process is which. */
import { describe, expect, it } from 'vitest';
import { LabelReader } from '../../../src/docker/revision.js';
import { BUILT_IN } from '../../../src/manifest/entries.js';
import { MAX_MANIFEST, MAX_STATE } from '../../../src/manifest/limits.js';
import { fc, property } from '../../support/property.js';
import { composed, container, graphOf } from './containers.js';

const PROVIDE = { 'pv.provide.raw': 'unix:/run/x.sock' };
const REQUIRE = { 'pv.require.raw': '' };

const names = (containers: Parameters<typeof graphOf>[0]) =>
  graphOf(containers).revision.containers.map(({ name }) => name);
const joined = ({ links }: ReturnType<typeof graphOf>) =>
  links.map(({ consumer, provider, consumerPid, providerPid }) => {
    return `${consumer}:${consumerPid} ${provider}:${providerPid}`;
  });

describe('the name of a container', () => {
  it('is that of its Compose service, else its own', () => {
    expect(names([composed('shop', 'web', PROVIDE), container('db', PROVIDE)])).toEqual([
      'db',
      'web',
    ]);
  });

  it('has the project in front where two projects or a container of its own share it', () => {
    const both = [composed('a', 'web', PROVIDE), composed('b', 'web', PROVIDE)];
    expect(names(both)).toEqual(['a-web', 'b-web']);
    expect(names([composed('a', 'web', PROVIDE), container('web', PROVIDE)])).toEqual([
      'a-web',
      'web',
    ]);
  });

  it('is its own where nobody knows whether its image says otherwise', () => {
    const { revision, lines } = graphOf([composed('a', 'web', PROVIDE, { imageLabels: null })]);
    expect(revision.containers).toMatchObject([{ name: 'a-web-1', services: [] }]);
    expect(lines[0]).toContain('error container a-web-1: found labels of an image that');
  });

  it('is its own for what Compose runs once', () => {
    const oneoff = { ...REQUIRE, 'com.docker.compose.oneoff': 'True' };
    expect(
      names([composed('a', 'web', PROVIDE), composed('a', 'web', oneoff, { number: 2 })]),
    ).toEqual(['a-web-2', 'web']);
  });

  it('is not chosen by whoever made its image', () => {
    const genuine = composed('a', 'web', REQUIRE);
    const false_ = container('evil', Object.fromEntries(composed('a', 'web', REQUIRE).labels));
    const evil = { ...false_, imageLabels: new Map(false_.labels).set('pv.require.raw', 'x') };
    expect(names([genuine, evil])).toEqual(['evil', 'web']);
  });

  it('is given to nobody where two have it', () => {
    const { revision, lines } = graphOf([
      composed('a', 'web', PROVIDE),
      composed('b', 'web', PROVIDE),
      container('a-web', PROVIDE),
    ]);
    expect(revision.containers.map(({ name }) => name)).toEqual(['b-web']);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain(
      'error container a-web: found the name "a-web", which another container has in the graph too, expected one that is free: rename one of the two containers',
    );
    expect(lines[1]).toContain('error container a-web-1: ');
  });

  it('is not one that is reserved', () => {
    const { revision, lines } = graphOf([composed('a', 'EXTERNAL', PROVIDE)]);
    expect(revision.containers).toEqual([]);
    expect(lines[0]).toContain('container a-EXTERNAL-1: found a container named "EXTERNAL"');
  });
});

describe('names in labels', () => {
  const web = (project: string) => composed(project, 'web', PROVIDE);
  const app = (project: string, more = {}) => composed(project, 'app', { ...REQUIRE, ...more });

  it('mean services of the same project first', () => {
    const graph = graphOf([
      web('a'),
      app('a'),
      web('b'),
      app('b', { 'pv.require.raw.provider': 'web' }),
    ]);
    expect(graph.lines).toEqual([]);
    expect(graph.links.map(({ consumer, provider }) => [consumer, provider])).toEqual([
      ['a-app', 'a-web'],
      ['b-app', 'b-web'],
    ]);
  });

  it('mean other containers by their names in the graph', () => {
    const graph = graphOf([
      web('a'),
      web('b'),
      container('app', { ...REQUIRE, 'pv.require.raw.provider': 'b-web' }),
    ]);
    expect(graph.links).toMatchObject([{ consumer: 'app', provider: 'b-web' }]);
    const ambiguous = graphOf([web('a'), web('b'), container('app', REQUIRE)]);
    expect(ambiguous.lines[0]).toContain('container app, label pv.require.raw: found 2 containers');
  });

  it('let in the service that they mean, and all of its containers, and nobody else', () => {
    const allowing = { ...PROVIDE, 'pv.provide.raw.allow': '["container:app"]' };
    const { links } = graphOf([
      composed('a', 'web', allowing),
      app('a'),
      composed('a', 'app', REQUIRE, { number: 2 }),
      composed('b', 'app', { ...REQUIRE, 'pv.require.raw.provider': 'web' }),
      container('app', REQUIRE),
    ]);
    expect(links.map(({ consumer, error }) => [consumer, error?.code])).toEqual([
      ['a-app', undefined],
      ['a-app-2', undefined],
      ['app', 'not-allowed'],
      ['b-app', 'not-allowed'],
    ]);
  });
});

describe('a service that is scaled', () => {
  const web = (number: number, more = {}) =>
    composed('a', 'web', { ...PROVIDE, ...REQUIRE_LOG }, { number, pid: number, ...more });
  const REQUIRE_LOG = { 'pv.require.log': '' };
  const log = composed('a', 'log', { 'pv.provide.log': 'unix:/run/log' }, { pid: 90 });
  const app = container('app', REQUIRE, { pid: 99 });

  it('is provided by its longest running container, and a notice names the others', () => {
    const graph = graphOf([
      ...[app, log],
      web(1, { startedAt: 3000 }),
      web(2, { startedAt: 1000 }),
      web(3, { startedAt: 2000 }),
    ]);
    expect(joined(graph)).toEqual([
      'a-web-2:2 log:90',
      'a-web-3:3 log:90',
      'app:99 web:2',
      'web:1 log:90',
    ]);
    expect(graph.lines).toEqual([
      'notice container a-web-2: found 2 more containers of its service (a-web-1, a-web-3), which get no connections, expected it alone: nothing to do if one is enough; the next one takes over when it stops.',
    ]);
  });

  it('is provided by one that can, whatever its name', () => {
    const [paused, stopped] = [{ isPaused: true, startedAt: 1 }, { pid: 0 }];
    const provider = (...all: ReturnType<typeof web>[]) =>
      joined(graphOf([app, ...all])).find((line) => line.startsWith('app'));
    expect(provider(web(1, stopped), web(2))).toBe('app:99 web:2');
    expect(provider(web(1, paused), web(2))).toBe('app:99 web:2');
    expect(provider(web(1, stopped), web(2, paused))).toBe('app:99 web:0');
    expect(provider(web(1, stopped), web(2, stopped))).toBe('app:99 web:0');
  });

  it('is the new container while Compose replaces the old one', () => {
    const old = { ...web(1, { pid: 0, created: 1 }), name: '0123abcd_a-web-1' };
    expect(names([old, web(1, { created: 2 })])).toEqual(['0123abcd_a-web-1', 'web']);
    expect(joined(graphOf([app, old, web(1, { created: 2, pid: 7 })]))).toContain('app:99 web:7');
  });
});

describe('the processes', () => {
  it('are those that run; one that is paused consumes, and does not provide', () => {
    const paused = container('a', { ...PROVIDE, 'pv.require.log': '' }, { pid: 5, isPaused: true });
    const graph = graphOf([
      paused,
      container('b', REQUIRE, { pid: 0 }),
      container('c', { 'pv.provide.log': 'unix:/run/log' }, { pid: 6 }),
    ]);
    expect(joined(graph)).toEqual(['a:5 c:6', 'b:0 a:0']);
    expect([...(graph.processes.engineIds ?? [])].map(([pid]) => pid)).toEqual([5, 6]);
  });
});

describe('a container of which the engine says nothing', () => {
  it('is taken as one that does not run, and that is said', () => {
    const silent = container('a', PROVIDE, { pid: 0, fault: 'It hangs.' });
    const graph = graphOf([silent, container('b', REQUIRE, { pid: 5 })]);
    expect(joined(graph)).toEqual(['b:5 a:0']);
    expect(graph.lines[0]).toContain(
      'error container a: found no answer of the engine whether it runs (It hangs), expected its pid: look at it',
    );
  });
});

describe('many and large labels', () => {
  it('of one container take out none of another', () => {
    const large: Record<string, string> = { 'pv.provide.big': 'unix:/x' };
    for (let i = 0; i <= MAX_STATE / MAX_MANIFEST; i++) large[`l${i}`] = ' '.repeat(MAX_MANIFEST);
    const { revision, lines } = graphOf([container('a', large), container('b', PROVIDE)]);
    expect(revision.containers.map(({ name }) => name)).toEqual(['b']);
    expect(lines[0]).toMatch(
      /^error container a: found 18 labels that take \d+ characters, beside those/,
    );
  });
});

describe('a container with very many labels, or very much wrong with them', () => {
  it('leaves room for those of others', () => {
    const many: Record<string, string> = {};
    for (let i = 0; i < 70_000; i++) many[`pv.provide.x${i}`] = 'unix:/x';
    const { revision, lines } = graphOf([container('a', many), container('b', PROVIDE)]);
    expect(revision.containers.map(({ name }) => name)).toEqual(['b']);
    expect(lines).toHaveLength(1);
  });

  it('hides nothing that is wrong with others, and is not served', () => {
    const entries = Array.from({ length: 1_000 }, (_, i) => {
      return { name: `s${i}`, type: 'unix', socket: '/x', [`f${i}`]: 0, aloow: [] };
    });
    const wrong = container('a', { 'pv.services': JSON.stringify(entries) });
    const note = container('b', {
      'pv.services': '[{"name":"raw","type":"unix","socket":"/x","f":0}]',
    });
    const { revision, lines } = graphOf([wrong, note]);
    expect(revision.containers.map(({ services }) => services.length)).toEqual([0, 1]);
    expect(lines.filter((line) => line.includes('container b'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('container a'))).toHaveLength(101);
  });
});

describe('labels that were read', () => {
  it('are not read again, unless the container is renamed or its image is known at last', () => {
    const reader = new LabelReader(BUILT_IN);
    const one = container('a', PROVIDE, { imageLabels: null });
    const [unknown] = reader.read([one]);
    expect(reader.read([{ ...one, pid: 7 }])[0]).toEqual({
      ...unknown,
      container: { ...one, pid: 7 },
    });
    expect(reader.read([{ ...one, pid: 8 }])[0]?.read).toBe(unknown?.read);
    const known = { ...one, imageLabels: new Map() };
    expect(reader.read([known])[0]?.read.services).toHaveLength(1);
    const [renamed] = reader.read([{ ...known, name: 'b' }]);
    expect(renamed?.read.services[0]?.place.file).toContain('container b');
  });
});

const NAME = fc.constantFrom('a', 'b', 'a-b', 'EXTERNAL', '');
const ANY_CONTAINER = fc
  .record({
    project: NAME,
    service: NAME,
    number: fc.integer({ min: 0, max: 2 }),
    own: NAME,
    isCompose: fc.boolean(),
    pid: fc.integer({ min: 0, max: 3 }),
    isPaused: fc.boolean(),
    provide: fc.subarray(['raw', 'log']),
    require: fc.subarray(['raw', 'log']),
    allow: fc.constantFrom('[]', '["container:a"]', '["x"]'),
  })
  .map(({ project, service, number, own, isCompose, pid, isPaused, provide, require, allow }) => {
    const labels = Object.fromEntries([
      ...provide.map((name) => [`pv.provide.${name}`, 'unix:/x']),
      ...provide.map((name) => [`pv.provide.${name}.allow`, allow]),
      ...require.map((name) => [`pv.require.${name}`, '']),
    ]);
    return isCompose
      ? composed(project, service, labels, { number, pid, isPaused })
      : container(own, labels, { pid, isPaused });
  });

describe('whatever the containers', () => {
  property('no two have one name, and the order of the listing changes nothing', (holds) =>
    holds(
      fc.property(fc.array(ANY_CONTAINER, { maxLength: 8 }), (containers) => {
        const { revision, links, lines } = graphOf(containers);
        const all = revision.containers.map(({ name }) => name);
        expect(new Set(all).size).toBe(all.length);
        const turned = graphOf([...containers].reverse());
        expect(turned.links).toEqual(links);
        expect([...turned.lines].sort()).toEqual([...lines].sort());
      }),
      { runs: 500 },
    ),
  );
});
