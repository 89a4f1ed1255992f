/** What the labels of a container say, and what is said of labels that are wrong. */
import { describe, expect, it } from 'vitest';
import { concernUs, readLabels } from '../../../src/docker/labels.js';
import { BUILT_IN } from '../../../src/manifest/entries.js';
import { MAX_ENTRIES, MAX_MANIFEST } from '../../../src/manifest/limits.js';
import { ProblemList } from '../../../src/manifest/problem-list.js';
import { fc, property } from '../../support/property.js';
import { revisionFrom } from '../manifest/scratch.js';
import { container, graphOf, type LabelTexts } from './containers.js';

function read(labels: LabelTexts, image: LabelTexts | null = {}) {
  const problems = new ProblemList();
  const own = new Map(Object.entries(labels));
  const inherited = image && new Map(Object.entries(image));
  const result = readLabels('web', own, inherited, BUILT_IN, problems);
  const lines = problems
    .list()
    .map(({ severity, file, pointer, message }) => `${severity} ${file}${pointer}: ${message}`);
  return { ...result, lines };
}

const placeless = (entries: readonly object[]) => entries.map((one) => ({ ...one, place: null }));

const SERVICE = { name: 'raw', type: 'unix', socket: '/run/x.sock', allow: ['operator'] };
const REQUIREMENT = { name: 'db', target: '/run/db.sock', role: 'operator' };

describe('labels', () => {
  it('say the same as manifests', () => {
    const manifests = revisionFrom({
      'web/services.json': { '#spec': 'service-manifest-xconnect@1', services: [SERVICE] },
      'web/run.json': { services: { required: [REQUIREMENT], optional: ['log'] } },
    }).containers[0];
    const forms: LabelTexts[] = [
      {
        'pv.services': JSON.stringify([SERVICE]),
        'pv.required': JSON.stringify([REQUIREMENT]),
        'pv.optional': 'log',
      },
      {
        'pv.services': JSON.stringify({
          '#spec': 'service-manifest-xconnect@1',
          services: [SERVICE],
        }),
        'pv.required': JSON.stringify([REQUIREMENT]),
        'pv.optional': '["log"]',
      },
      {
        'pv.provide.raw': 'unix:/run/x.sock',
        'pv.provide.raw.allow': '["operator"]',
        'pv.require.db': '/run/db.sock',
        'pv.require.db.role': 'operator',
        'pv.optional': ' log, ',
      },
    ];
    for (const form of forms) {
      const { services, requirements, lines } = read(form);
      expect(lines).toEqual([]);
      expect(placeless(services)).toEqual(placeless(manifests?.services ?? []));
      const byName = [...requirements].sort((a, b) => (a.name < b.name ? -1 : 1));
      expect(placeless(byName)).toEqual(placeless(manifests?.requirements ?? []));
    }
  });

  it('in their short forms name a path, a port, or the default target', () => {
    const { services, requirements, lines } = read({
      'pv.provide.api': 'http:8080',
      'pv.provide.card': 'drm:/dev/dri/card0',
      'pv.require.db': '',
      'pv.require.web': '127.0.0.1:80/x',
      'pv.require.web.provider': 'front',
    });
    expect(lines).toEqual([]);
    expect(services).toMatchObject([
      { name: 'api', type: 'http', port: 8080 },
      { name: 'card', type: 'drm', socket: '/dev/dri/card0' },
    ]);
    expect(requirements).toMatchObject([
      { name: 'db', role: 'any' },
      { name: 'web', target: '127.0.0.1:80/x', provider: 'front' },
    ]);
    expect(requirements[0]).not.toHaveProperty('target');
  });

  it('that are for somebody else are left alone', () => {
    const labels = {
      maintainer: 'x',
      'pv.kubernetes.io/bound': 'yes',
      pv: 'x',
      'pvx.require': 'y',
    };
    expect(read(labels)).toEqual({ services: [], refused: [], requirements: [], lines: [] });
    expect(concernUs(new Map([['com.docker.compose.project', 'x']]))).toBe(false);
  });

  it.each<[LabelTexts, string]>([
    [
      { 'pv.services': '[{"name":"raw"' },
      'error container web, label pv.services: found the end of the file at line 1, column 15, after `[{"name":"raw"`, expected "," or "}": correct the JSON at the place that the message names.',
    ],
    [
      { 'pv.services': '' },
      'error container web, label pv.services: found an empty label, expected JSON: correct the JSON at the place that the message names.',
    ],
    [
      { 'pv.services': '[{"name":"raw","type":"unix","socket":"x"}]' },
      'error container web, label pv.services/0/socket: found "x", expected an absolute path',
    ],
    [
      { 'pv.provide.raw': '/run/x.sock' },
      'error container web, label pv.provide.raw: found "/run/x.sock", expected TYPE:PATH or TYPE:PORT, such as "unix:/run/x.sock" or "http:8080": correct the label; docs/docker.md shows each form.',
    ],
    [
      { 'pv.provide.raw': 'udp:80' },
      'error container web, label pv.provide.raw/type: found "udp", expected',
    ],
    [
      { 'pv.provide.raw': 'tcp:99999' },
      'error container web, label pv.provide.raw/port: found 99999, expected a TCP port',
    ],
    [
      { 'pv.provide.raw': 'unix:/run/x', 'pv.provide.raw.alow': '["a"]' },
      'error container web, label pv.provide.raw/alow: found the unknown field "alow", expected "allow"',
    ],
    [
      { 'pv.provide.raw.allow': '["operator"]' },
      'error container web, label pv.provide.raw.allow: found no "type", expected one of',
    ],
    [
      { 'pv.provide.org.example.raw': 'unix:/run/x' },
      'error container web, label pv.provide.org.example.raw: found the label "pv.provide.org.example.raw", expected "pv.provide.NAME" or "pv.provide.NAME.FIELD"; a NAME with dots goes into pv.services',
    ],
    [
      { 'pv.provide.raw': 'unix:/run/x', 'pv.provide.raw.allow': '["a' },
      'error container web, label pv.provide.raw.allow: found the end of the file',
    ],
    [
      { 'pv.provide.raw': 'unix:/run/x', 'pv.provide.raw.type': 'dbus' },
      'error container web, label pv.provide.raw.type: found "type" again, expected each field once',
    ],
    [
      { 'pv.require.raw': '../x' },
      'error container web, label pv.require.raw/target: found "../x", expected',
    ],
    [
      { 'pv.require.raw': '', 'pv.require.raw.roll': 'a' },
      'container web, label pv.require.raw/roll: found the unknown field "roll", expected "role"',
    ],
    [
      { 'pv.required': '{"name":"raw"}' },
      'error container web, label pv.required: found an object, expected an array, or names with commas between them',
    ],
    [
      { 'pv.requires': 'raw' },
      'error container web, label pv.requires: found the unknown label "pv.requires", expected "pv.require',
    ],
    [
      { 'pv.provides.raw': 'unix:/run/x' },
      'error container web, label pv.provides.raw: found the unknown label "pv.provides.raw", expected "pv.provide.NAME"',
    ],
    [
      { 'pv.services.raw': 'unix:/run/x' },
      'error container web, label pv.services.raw: found the unknown label "pv.services.raw", expected "pv.services"',
    ],
    [
      { 'pv.image-labels': 'yes' },
      'error container web, label pv.image-labels: found "yes", expected "accept"',
    ],
  ])('%j are a problem with the container and the label', (labels, line) => {
    const { services, lines } = read(labels);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(line);
    expect(services).toEqual([]);
  });

  it('that are wrong take out themselves alone', () => {
    const { services, refused, requirements, unreadable } = read({
      'pv.services': 'x',
      'pv.provide.a': 'unix:/run/a',
      'pv.provide.b': 'unix',
      'pv.required': '[',
      'pv.require.c.role': '[',
      'pv.require.d': '/run/d',
    });
    expect(services).toMatchObject([{ name: 'a' }]);
    expect(refused).toMatchObject([{ name: 'b' }]);
    expect(requirements).toMatchObject([{ name: 'c', refused: true }, { name: 'd' }]);
    expect(unreadable).toBe('container web, label pv.services');
  });

  it.each<[string, LabelTexts, string]>([
    [
      'has a name that is in both forms',
      {
        'pv.services': '[{"name":"raw","type":"unix","socket":"/a"}]',
        'pv.provide.raw': 'unix:/b',
      },
      'error container web, label pv.provide.raw: found "raw" again, expected each service once, and container web, label pv.services:/0 has it',
    ],
    [
      'is whole in one form and limited in the other',
      {
        'pv.services': '[{"name":"raw","type":"unix","socket":"/a"}]',
        'pv.provide.raw.allow': '["operator"]',
      },
      'error container web, label pv.provide.raw.allow: found "raw" again',
    ],
    [
      'has dots in its name, and is limited in the short form',
      {
        'pv.services': '[{"name":"org.example.raw","type":"unix","socket":"/a"}]',
        'pv.provide.org.example.raw.allow': '["operator"]',
      },
      'error container web, label pv.provide.org.example.raw.allow: found "org.example.raw" again',
    ],
    [
      'is limited under a name that is misspelt',
      { 'pv.provide.raw': 'unix:/a', 'pv.provide.Raw.allow': '["operator"]' },
      'error container web, label pv.provide.Raw.allow: found a field of "Raw", which no label provides, expected one of "raw"',
    ],
    [
      'is limited under a name that is misspelt, and stands in the long form',
      {
        'pv.services': '[{"name":"server","type":"unix","socket":"/a"}]',
        'pv.provide.sever.allow': '["operator"]',
      },
      'error container web, label pv.provide.sever.allow: found a field of "sever", which no label provides, expected one of "server"',
    ],
    [
      'is limited by a label whose first words are misspelt',
      { 'pv.provide.raw': 'unix:/a', 'pv.provides.raw.allow': '["operator"]' },
      'error container web, label pv.provides.raw.allow: found the unknown label "pv.provides.raw.allow", expected "pv.provide.NAME"',
    ],
    [
      'is limited by a label in capitals',
      { 'pv.provide.raw': 'unix:/a', 'PV.Provide.raw.allow': '["operator"]' },
      'error container web, label PV.Provide.raw.allow: found the unknown label',
    ],
    [
      'is limited by a label with a space in front',
      { 'pv.provide.raw': 'unix:/a', ' pv.provide.raw.allow': '["operator"]' },
      'error container web, label  pv.provide.raw.allow: found the unknown label',
    ],
  ])('serve nothing that %s', (_, labels, line) => {
    const { services, refused, lines } = read(labels);
    expect(services).toEqual([]);
    expect(refused.length).toBeGreaterThan(0);
    expect(lines.join('\n')).toContain(line);
  });

  it('serve nothing without the limit that the image had for it, nor with one that nobody can know', () => {
    const image = { 'pv.provide.raw.allow': '["operator"]' };
    const labels = { ...image, 'pv.provide.raw': 'unix:/a', 'pv.provide.log': 'unix:/b' };
    const limited = read(labels, image);
    expect(limited.services).toMatchObject([{ name: 'log' }]);
    expect(limited.refused).toMatchObject([{ name: 'raw' }]);
    expect(limited.lines[0]).toContain(
      'error container web, label pv.provide.raw.allow: found a label of its image',
    );
    expect(read({ ...labels, 'pv.image-labels': 'accept' }, image).services).toHaveLength(2);
    const unknown = read({ ...labels, 'pv.require.db': '', 'pv.image-labels': 'accept' }, null);
    expect(unknown.services).toEqual([]);
    expect(unknown.requirements).toMatchObject([{ name: 'db', refused: true }]);
    expect(unknown.lines).toEqual([
      'error container web: found labels of an image that the engine no longer knows, or of the container, expected labels that are its own: make the container anew, from an image that is there.',
    ]);
  });

  it('of the image do not count, unless the container says so', () => {
    const image = { 'pv.require.secret': '', 'pv.require.secret.role': 'operator' };
    const inherited = read({ ...image, 'pv.require.own': '' }, image);
    expect(inherited.requirements).toMatchObject([{ name: 'own' }]);
    expect(inherited.lines).toHaveLength(2);
    expect(inherited.lines[0]).toContain(
      'notice container web, label pv.require.secret: found a label of its image, expected labels of the container itself, or "pv.image-labels=accept" among them',
    );
    const accepted = read({ ...image, 'pv.image-labels': 'accept' }, image);
    expect(accepted.requirements).toMatchObject([{ name: 'secret', role: 'operator' }]);
    expect(accepted.lines).toEqual([]);
    const accepting = { ...image, 'pv.image-labels': 'accept' };
    expect(read(accepting, accepting).requirements).toEqual([]);
  });

  it('of more than 1 MiB are refused, and others are not', () => {
    const { services, lines, unreadable } = read({
      'pv.services': ' '.repeat(MAX_MANIFEST + 1),
      'pv.provide.raw': `unix:/${'x'.repeat(MAX_MANIFEST)}`,
      'pv.provide.a': 'unix:/run/a',
    });
    expect(services).toMatchObject([{ name: 'a' }]);
    expect(lines.map((line) => line.split(':')[0])).toEqual([
      'error container web, label pv.provide.raw',
      'error container web, label pv.services',
    ]);
    expect(unreadable).toBeDefined();
  });

  it('of which there are too many lose no limit of those that are served', () => {
    const labels: Record<string, string> = {
      'pv.provide.a': 'unix:/a',
      'pv.provide.a.allow': '[]',
    };
    for (let i = 0; i < MAX_ENTRIES; i++) labels[`pv.provide.a-${i}`] = 'unix:/a';
    const { services } = read(labels);
    expect(services).toHaveLength(MAX_ENTRIES);
    expect(services[0]).toMatchObject({ name: 'a', allow: [] });
  });

  it('are shown short and printable', () => {
    const { lines } = read({ [`pv.provide.\u202e${'x'.repeat(500)}`]: 'x\u001b' });
    expect(lines[0]).toMatch(/^error container web, label pv\.provide\.\\u202ex{68}\.\.\.: /);
  });
});

const WORD = fc.constantFrom(
  ...['services', 'required', 'optional', 'provide', 'require', 'image-labels', 'requires', 'x'],
);
const PART = fc.oneof(
  fc.constantFrom(
    'raw',
    'role',
    'allow',
    'name',
    'type',
    '__proto__',
    'constructor',
    '',
    '/',
    '\0',
  ),
  fc.string(),
);
const KEY = fc.oneof(
  fc.tuple(WORD, fc.array(PART, { maxLength: 3 })).map(([word, parts]) => {
    return ['pv', word, ...parts].join('.');
  }),
  fc.string(),
);
const VALUE = fc.oneof(
  fc.constantFrom('', 'unix:/run/x', 'http:80', 'x:1', '[', '{}', '[]', '"a"', 'a,b', 'accept'),
  fc.json(),
  fc.string(),
);

describe('whatever the labels', () => {
  property('reading them never throws, and each problem names container and label', (holds) =>
    holds(
      fc.property(fc.dictionary(KEY, VALUE), fc.dictionary(KEY, VALUE), (labels, image) => {
        expect(
          read(labels, image).lines.every((line) => line.includes('container web, label ')),
        ).toBe(true);
        const { lines } = graphOf([
          container('web', labels, { imageLabels: new Map(Object.entries(image)) }),
        ]);
        for (const line of lines) expect(line).toMatch(/^(error|notice) container web/);
      }),
      { runs: 500 },
    ),
  );
});
