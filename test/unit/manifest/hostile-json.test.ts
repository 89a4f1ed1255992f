/** Reading never throws and never hangs, whatever the bytes; scanning agrees with JSON.parse. */
import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/graph/builder.js';
import { linkId } from '../../../src/graph/link.js';
import { parseJson } from '../../../src/manifest/json.js';
import { deeperThan, duplicateKeys, jsonFault } from '../../../src/manifest/json-scan.js';
import { ProblemList } from '../../../src/manifest/problem-list.js';
import { readRevision } from '../../../src/manifest/reader.js';
import { fc, property } from '../../support/property.js';
import { revisionFrom, writeFiles } from './scratch.js';

const SOME_NAMES = [
  'a',
  'b',
  'raw',
  'system-bus',
  '__proto__',
  'a,b',
  '../x',
  'EXTERNAL',
  '\ud800',
];
const NAME = fc.oneof(fc.constantFrom(...SOME_NAMES), fc.string());
const TYPE = fc.constantFrom('unix', 'rest', 'dbus', 'drm', 'tcp', 'http', 'wayland', 'udp', 7);
const PATH = fc.constantFrom(
  '/run/a.sock',
  '/run/../a',
  'a',
  '/',
  '127.0.0.1:80',
  '[::]:80/x',
  ':',
  '/a\0',
);
const ANY = fc.jsonValue({ depthSize: 'small' });
const or = (arbitrary: fc.Arbitrary<unknown>) => fc.oneof({ weight: 9, arbitrary }, ANY);
const entry = (model: Record<string, fc.Arbitrary<unknown>>) =>
  or(
    fc.record(Object.fromEntries(Object.entries(model).map(([key, one]) => [key, or(one)])), {
      requiredKeys: [],
    }),
  );
const SERVICE = entry({
  name: NAME,
  type: TYPE,
  socket: PATH,
  port: fc.integer({ min: -1, max: 70_000 }),
  allow: fc.array(NAME, { maxLength: 3 }),
  owns: fc.constantFrom('org.example.A', 'org.example.B'),
  role: NAME,
  activation: fc.record({ mode: fc.constantFrom('always', 'on-demand', 'x') }),
  mode: fc.constantFrom('stream', 'dgram', 'fd'),
  access: fc.constantFrom('ro', 'rw', 'x'),
  lease: fc.array(fc.constantFrom('DP-1', 'HDMI-A-1', '/'), { maxLength: 3 }),
  match: fc.dictionary(fc.constantFrom('name', 'vendor', 'x'), fc.constantFrom('05e0', '')),
});
const REQUIREMENT = entry({
  name: NAME,
  service: NAME,
  type: TYPE,
  target: PATH,
  external: PATH,
  provider: NAME,
  role: NAME,
  host: NAME,
});
const LIST = or(fc.oneof(fc.array(REQUIREMENT, { maxLength: 5 }), fc.string()));
const FILES = fc.dictionary(
  fc.oneof(
    fc.constantFrom(
      'a/services.json',
      'b/services.json',
      'a/run.json',
      'b/args.json',
      'device.json',
    ),
    NAME.map((name) => `${name}/run.json`),
  ),
  or(
    fc.record(
      {
        '#spec': or(fc.constant('service-manifest-xconnect@1')),
        services: fc.oneof(
          or(fc.array(SERVICE, { maxLength: 5 })),
          fc.record({ required: LIST, optional: LIST }, { requiredKeys: [] }),
        ),
        PV_SERVICES_REQUIRED: LIST,
        ingress: LIST,
        groups: ANY,
        network: ANY,
      },
      { requiredKeys: [] },
    ),
  ),
);

describe('a hostile revision', () => {
  property('never makes reading or building throw, and yields sound links only', async (holds) => {
    await holds(
      fc.property(FILES, (files) => {
        const revision = revisionFrom(files);
        for (const options of [{}, { hostedBus: { socket: '/run/bus' } }]) {
          const graph = buildGraph(revision, new Map([['a', 1]]), options);
          expect(buildGraph(revision, new Map([['a', 1]]), options)).toEqual(graph);
          const ids = graph.links.map(linkId); // throws where a name is no Unicode
          expect(new Set(ids).size).toBe(ids.length);
          for (const { target, type, name, error } of graph.links) {
            expect(name).not.toMatch(/[/\0]/);
            if (error?.code === 'manifest-invalid') continue; // it leads nowhere, and is never made
            expect(target).toMatch(/^(\/|[^/]+:\d+)/);
            expect(target.split('/')).not.toContain('..');
            expect(type).toMatch(/^(unix|rest|dbus|drm|tcp|http|wayland)$/);
          }
        }
      }),
      { runs: 500 },
    );
  });

  property('is read from any bytes without throwing', async (holds) => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
      fc.json().map((text) => Buffer.from(text)),
      fc.json().map((text) => Buffer.from(text.slice(0, text.length / 2))),
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from([0x1f, 0x8b, 8, 0, ...array])),
    );
    await holds(
      fc.asyncProperty(bytes, bytes, async (one, other) => {
        const folder = await writeFiles({
          'state.json': one,
          'x.pvrexport.tgz': one,
          'a/run.json': one,
          'a/services.json': other,
          'device.json': other,
        });
        for (const path of [folder, `${folder}/state.json`, `${folder}/x.pvrexport.tgz`]) {
          const revision = await readRevision(path);
          expect(Array.isArray(revision.problems)).toBe(true);
        }
      }),
      { runs: 60 },
    );
  });
});

describe('the scan of JSON text', () => {
  property('agrees with the parsed value on depth', async (holds) => {
    await holds(
      fc.property(fc.jsonValue(), fc.nat({ max: 6 }), (value, max) => {
        const depth = (one: unknown): number =>
          typeof one === 'object' && one !== null
            ? 1 + Math.max(0, ...Object.values(one).map(depth))
            : 0;
        expect(deeperThan(JSON.stringify(value), max)).toBe(depth(value) > max);
      }),
    );
  });

  property('finds no duplicate key in what was written from a value', async (holds) => {
    await holds(
      fc.property(fc.jsonValue(), (value) => {
        expect(duplicateKeys(JSON.stringify(value), 5)).toEqual([]);
      }),
    );
  });

  it.each([
    ['letters', 'x'],
    ['escapes', '\\n'],
  ])('a fault behind a string of many %s is told like any other', (_, part) => {
    const problems = new ProblemList();
    const text = `{"a": "${part.repeat((12 * 1024 * 1024) / part.length)}" oops}`;
    expect(parseJson(Buffer.from(text), 'state.json', problems)).toBeUndefined();
    expect(problems.list()[0]?.message).toMatch(/^found "oops" at line 1, .* expected "," or "}"/);
  });

  it('finds duplicate keys however they are written, with their pointers', () => {
    const text = '[{"a":{"x/y":1,"x\\u002fy":2}},"a\\"{",{"b":[{"c":1},{"c":1,"c":2}]}]';
    expect(JSON.parse(text)).toBeInstanceOf(Array);
    expect(duplicateKeys(text, 5)).toEqual(['/0/a/x~1y', '/2/b/1/c']);
    expect(duplicateKeys(text, 1)).toEqual(['/0/a/x~1y']);
  });

  property('never throws on text that is no JSON', async (holds) => {
    await holds(
      fc.property(fc.string(), (text) => {
        expect(typeof deeperThan(text, 3)).toBe('boolean');
      }),
    );
  });

  property('finds a fault where the parser does, and only there', async (holds) => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.tuple(fc.json(), fc.nat(), fc.string({ maxLength: 2 })).map(([json, at, more]) => {
        const cut = at % (json.length + 1);
        return json.slice(0, cut) + more + json.slice(cut + 1);
      }),
    );
    const isJson = (one: string) => {
      try {
        JSON.parse(one);
        return true;
      } catch {
        return false;
      }
    };
    await holds(
      fc.property(text, (one) => {
        if (!deeperThan(one, 64)) expect(jsonFault(one) === null).toBe(isJson(one));
      }),
      { runs: 2000 },
    );
  });

  it('says line and column of an error', () => {
    const problems = new ProblemList();
    expect(parseJson(Buffer.from('{\n "a": 1,\n "b" 2}'), 'x', problems)).toBeUndefined();
    expect(problems.list()[0]?.found).toBe('"2" at line 3, column 6, after `"b"`');
  });
});
