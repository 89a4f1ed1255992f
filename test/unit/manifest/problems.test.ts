/** One case at least for each problem code: its file, its pointer, and what is left of the revision. */
import { describe, expect, it } from 'vitest';
import { buildGraph, type GraphOptions } from '../../../src/graph/builder.js';
import { PROBLEM_REMEDIES, type Problem } from '../../../src/manifest/problem.js';
import { readRevision } from '../../../src/manifest/reader.js';
import {
  brief,
  type Files,
  requires,
  STATE,
  services,
  writeExport,
  writeFiles,
} from './scratch.js';

interface Case {
  readonly title: string;
  readonly files: Files;
  /** As `brief` has them. */
  readonly problems: readonly string[];
  readonly options?: GraphOptions;
  /** Names of the links that are left. */
  readonly links?: readonly string[];
}

const RAW = { name: 'raw', type: 'unix', socket: '/run/raw.sock' };
/** A pair that works beside whatever is wrong. */
const WORKING = {
  'good/services.json': services({ name: 'ok', type: 'unix', socket: '/run/ok.sock' }),
  'user/run.json': requires('ok'),
};
const owner = (owns: string, more: object = {}) => ({
  type: 'dbus',
  owns,
  role: 'owner',
  allow: ['any'],
  ...more,
});
const ON_DEMAND = { activation: { mode: 'on-demand' } };

const CASES: readonly Case[] = [
  {
    title: 'unparsable JSON',
    files: { 'a/services.json': '{"#spec": ' },
    problems: ['error json-invalid a/services.json:'],
  },
  {
    title: 'bytes that are not UTF-8',
    files: { 'a/services.json': Buffer.from([0x22, 0xff, 0x22]) },
    problems: ['error json-invalid a/services.json:'],
  },
  {
    title: 'an empty file',
    files: { 'a/run.json': '' },
    problems: ['error json-invalid a/run.json:'],
  },
  {
    title: 'JSON nested deeper than 64',
    files: { 'a/run.json': `${'['.repeat(65)}${']'.repeat(65)}` },
    problems: ['error json-too-deep a/run.json:'],
  },
  {
    title: 'a key twice, where the last one counts',
    files: {
      'a/services.json': '{"#spec":"service-manifest-xconnect@1","services":[],"services":[]}',
    },
    problems: ['notice json-duplicate-key a/services.json:/services'],
  },
  {
    title: 'a manifest over 1 MiB',
    files: { 'a/run.json': `{"x":"${'x'.repeat(1024 * 1024)}"}` },
    problems: ['error file-too-large a/run.json:'],
  },
  {
    title: 'a wrong spec',
    files: { 'a/services.json': { '#spec': 'service-manifest-xconnect@3', services: [RAW] } },
    problems: ['error spec-wrong a/services.json:/#spec'],
  },
  {
    title: 'no spec at all',
    files: { 'a/services.json': { services: [RAW] } },
    problems: ['error spec-wrong a/services.json:'],
  },
  {
    title: 'a services.json that is a string',
    files: { 'a/services.json': '"raw"' },
    problems: ['error shape-wrong a/services.json:'],
  },
  {
    title: 'a services.json without services',
    files: { 'a/services.json': { '#spec': 'service-manifest-xconnect@1' } },
    problems: ['error shape-wrong a/services.json:'],
  },
  {
    title: 'an entry of the wrong shape beside a good one',
    files: { 'a/services.json': services(7, RAW), 'b/run.json': requires('raw') },
    problems: ['error shape-wrong a/services.json:/services/0'],
    links: ['ok', 'raw'],
  },
  {
    title: 'a service without a name, a type, a socket',
    files: {
      'a/services.json': services(
        { type: 'unix', socket: '/run/a' },
        { name: 'b', socket: '/run/b' },
        { name: 'c', type: 'unix' },
        { name: 'd', type: 'tcp' },
        { name: 'e', type: 'http', socket: '/run/e', port: 80 },
        { type: 'dbus', owns: 'org.example.Foo' },
      ),
    },
    problems: [0, 1, 2, 3, 4, 5].map((at) => `error shape-wrong a/services.json:/services/${at}`),
  },
  {
    title: 'fields on a type that has no use for them',
    files: { 'a/services.json': services({ ...RAW, type: 'rest', mode: 'dgram', fds: false }) },
    problems: [
      'notice shape-wrong a/services.json:/services/0/mode',
      'notice shape-wrong a/services.json:/services/0/fds',
    ],
  },
  {
    title: 'a name with a slash, and a container named like the host',
    files: {
      'a/services.json': services({ ...RAW, name: 'a/b' }),
      'EXTERNAL/services.json': services(RAW),
      '_pv_/services.json': services(RAW),
    },
    problems: [
      'error name-invalid EXTERNAL:',
      'error name-invalid _pv_:',
      'error name-invalid a/services.json:/services/0/name',
    ],
  },
  {
    title: 'an unknown type',
    files: {
      'a/services.json': services({ ...RAW, type: 'quic' }),
      'b/run.json': requires({ name: 'ok', type: 'quic' }),
    },
    problems: [
      'error type-unknown a/services.json:/services/0/type',
      'error type-unknown b/run.json:/services/required/0/type',
    ],
  },
  {
    title: 'a relative path, one with "..", one of a folder',
    files: {
      'a/services.json': services(
        { ...RAW, socket: 'run/raw.sock' },
        { ...RAW, socket: '/run/../etc/raw.sock' },
        { ...RAW, socket: '/run/' },
      ),
      'b/run.json': requires({ name: 'ok', target: 'ok.sock' }, { name: 'ok', external: '/../x' }),
    },
    problems: [
      ...[0, 1, 2].map((at) => `error path-invalid a/services.json:/services/${at}/socket`),
      'error path-invalid b/run.json:/services/required/0/target',
      'error path-invalid b/run.json:/services/required/1/external',
    ],
  },
  {
    title: 'a path where a network type wants an address',
    files: {
      'a/services.json': services({ name: 'web', type: 'tcp', port: 80 }),
      'b/run.json': requires('web', { name: 'web', type: 'tcp', target: '/run/web' }),
    },
    problems: [
      'error address-invalid b/run.json:/services/required/1/target',
      'error address-invalid b/run.json:/services/required/0',
    ],
  },
  {
    title: 'ports out of range',
    files: {
      'a/services.json': services(
        ...[0, 65_536, 80.5, '80'].map((port) => ({ name: `p${port}`, type: 'tcp', port })),
      ),
      'device.json': { ingress: [{ type: 'tcp', external: '0.0.0.0:70000', service: 'ok' }] },
    },
    problems: [
      ...[0, 1, 2, 3].map((at) => `error port-invalid a/services.json:/services/${at}/port`),
      'error port-invalid device.json:/ingress/0/external',
    ],
  },
  {
    title: 'ingress addresses that are none',
    files: {
      'device.json': {
        ingress: [
          { type: 'tcp', external: '0.0.0.0:80/api', service: 'ok' },
          { type: 'tcp', external: '300.1.1.1:80', service: 'ok' },
          { type: 'http', external: '::1:80', service: 'ok' },
          { type: 'http', service: 'ok' },
        ],
      },
    },
    problems: [
      ...[0, 1, 2].map((at) => `error address-invalid device.json:/ingress/${at}/external`),
      'error address-invalid device.json:/ingress/3',
    ],
  },
  {
    title: 'a policy with an unknown key, and one that is no object',
    files: {
      'a/services.json': services(
        { name: 'x', type: 'dbus', socket: '/run/x', policy: { operator: { speak: [] } } },
        { name: 'y', type: 'dbus', socket: '/run/y', policy: { operator: { see: 'all' } } },
      ),
    },
    problems: [
      'error policy-invalid a/services.json:/services/0/policy/operator/speak',
      'error policy-invalid a/services.json:/services/1/policy/operator/see',
    ],
  },
  {
    title: 'a duplicate name in one container, where the first one stands',
    files: { 'a/services.json': services(RAW, RAW), 'b/run.json': requires('raw') },
    problems: ['error service-duplicate a/services.json:/services/1/name'],
    links: ['ok', 'raw'],
  },
  {
    title: 'a service named like the hosted bus',
    files: {
      'a/services.json': services({ name: 'system-bus', type: 'dbus', socket: '/run/bus' }),
    },
    options: { hostedBus: { socket: '/run/pv-xconnect/bus' } },
    problems: ['error service-reserved a/services.json:/services/0'],
  },
  {
    title: 'a required service that no one exports, and an optional one',
    files: { 'b/run.json': { services: { required: ['none'], optional: ['nothing'] } } },
    problems: [
      'error service-missing b/run.json:/services/required/0',
      'notice service-missing b/run.json:/services/optional/0',
    ],
  },
  {
    title: 'a provider that does not export the service',
    files: { 'b/run.json': requires({ name: 'ok', provider: 'bad' }) },
    problems: ['error provider-missing b/run.json:/services/required/0/provider'],
  },
  {
    title: 'several exporters and no provider',
    files: {
      'a/services.json': services(RAW),
      'b/services.json': services(RAW),
      'c/run.json': requires('raw', { name: 'raw', provider: 'b', target: '/run/b.sock' }),
    },
    problems: ['error provider-ambiguous c/run.json:/services/required/0'],
    links: ['raw', 'ok'],
  },
  {
    title: 'a type that can not be served',
    files: { 'b/run.json': requires({ name: 'ok', type: 'drm' }) },
    problems: ['error type-unserveable b/run.json:/services/required/0/type'],
  },
  {
    title: 'two requirements with the same target, spelled differently',
    files: {
      'a/services.json': services(RAW),
      'b/run.json': requires(
        { name: 'ok', target: '/run/x.sock' },
        { name: 'raw', target: '/run/./x.sock' },
      ),
    },
    problems: ['error target-duplicate b/run.json:/services/required/1'],
    links: ['ok', 'ok'],
  },
  {
    title: 'an ingress collision',
    files: {
      'device.json': {
        ingress: [
          { type: 'tcp', external: '0.0.0.0:80', service: 'ok' },
          { type: 'http', external: '0.0.0.0:80/api', service: 'ok' },
        ],
      },
    },
    problems: ['error ingress-collision device.json:/ingress/1'],
    links: ['ok', 'ok'],
  },
  {
    title: 'a bus name owned twice',
    files: {
      'a/services.json': services(owner('org.example.Foo')),
      'b/services.json': services(owner('org.example.Foo')),
    },
    problems: ['error bus-name-duplicate b/services.json:/services/0/owns'],
  },
  {
    title: 'activation without owns',
    files: {
      'a/services.json': services({ name: 'bus', type: 'dbus', socket: '/run/b', ...ON_DEMAND }),
    },
    problems: ['error activation-without-owns a/services.json:/services/0/activation'],
  },
  {
    title: 'a cycle among on-demand activations',
    files: {
      'a/services.json': services(owner('org.example.A', ON_DEMAND), { ...RAW, name: 'a' }),
      'a/run.json': requires('b'),
      'b/services.json': services({ ...RAW, name: 'b' }, owner('org.example.B', ON_DEMAND)),
      'b/run.json': requires('a'),
    },
    problems: ['error activation-cycle a/services.json:/services/0/activation'],
    links: ['b', 'a', 'ok'],
  },
  {
    title: 'a role that is not allowed',
    files: {
      'a/services.json': services({ ...RAW, allow: ['operator'] }),
      'b/run.json': requires('raw', { name: 'raw', role: 'operator', target: '/run/r.sock' }),
    },
    problems: ['error not-allowed b/run.json:/services/required/0'],
    links: ['raw', 'raw', 'ok'],
  },
  {
    title: 'a run.json, an args.json and a device.json of the wrong shape',
    files: {
      'a/run.json': [],
      'b/run.json': { services: [] },
      'c/args.json': { PV_SERVICES_REQUIRED: 7 },
      'device.json': { groups: {}, network: { pools: [] }, ingress: [{ type: 'udp' }] },
    },
    problems: [
      'error shape-wrong a/run.json:',
      'error shape-wrong b/run.json:/services',
      'error shape-wrong c/args.json:/PV_SERVICES_REQUIRED',
      'error shape-wrong device.json:/groups',
      'error shape-wrong device.json:/network/pools',
      'error type-unknown device.json:/ingress/0/type',
    ],
  },
];

const seen = new Set<string>();

async function problemsAt(path: string, options?: GraphOptions) {
  const revision = await readRevision(path);
  const graph = buildGraph(revision, new Map(), options);
  const problems: Problem[] = [...revision.problems, ...graph.problems];
  for (const { code } of problems) seen.add(code);
  return { problems, graph, revision };
}

describe('each problem has its code, file and pointer', () => {
  for (const { title, files, problems, options, links } of CASES) {
    it(`${title}: ${[...new Set(problems.map((text) => text.split(' ')[1]))].join(', ')}`, async () => {
      const found = await problemsAt(await writeFiles({ ...WORKING, ...files }), options);
      expect(brief(found.problems).sort()).toEqual([...problems].sort());
      expect(found.graph.links.map(({ name }) => name).sort()).toEqual(
        [...(links ?? ['ok'])].sort(),
      );
      for (const { message } of found.problems)
        expect(message).toMatch(/^found .+, expected .+: .+\.$/);
    });
  }
});

describe('what is wrong with a revision as a whole', () => {
  it('is a path that is not there: path-missing', async () => {
    const path = `${await writeFiles({})}/absent`;
    const { problems, revision } = await problemsAt(path);
    expect(brief(problems)).toEqual([`error path-missing ${path}:`]);
    expect(revision.failed).toBe(true);
  });

  it('is a folder that holds no revision: path-missing', async () => {
    const path = await writeFiles({ 'readme.txt': 'nothing here' });
    expect(brief((await problemsAt(path)).problems)).toEqual([`error path-missing ${path}:`]);
  });

  it('is a file that can not be read: file-unreadable', async () => {
    expect(brief((await problemsAt('/dev/null')).problems)).toEqual([
      'error file-unreadable /dev/null:',
    ]);
  });

  it('is an archive without a state: archive-invalid', async () => {
    const path = await writeExport(`${await writeFiles({})}/x.tgz`, { 'objects/1': 'binary' });
    const { problems, revision } = await problemsAt(path);
    expect(brief(problems)).toEqual([`error archive-invalid ${path}:`]);
    expect(revision.failed).toBe(true);
  });

  it('is a key that two exports disagree on: key-overridden, and the later one wins', async () => {
    const folder = await writeFiles({});
    const state = (socket: string) => ({
      json: { ...STATE, 'a/services.json': services({ ...RAW, socket }) },
    });
    await writeExport(`${folder}/1.pvrexport.tgz`, state('/run/1.sock'));
    await writeExport(`${folder}/2.pvrexport.tgz`, state('/run/2.sock'));
    const { problems, revision } = await problemsAt(folder);
    expect(brief(problems)).toEqual(['notice key-overridden a/services.json:']);
    expect(revision.containers[0]?.services[0]?.socket).toBe('/run/2.sock');
  });

  it('is more than a person reads: problems-omitted counts the rest', async () => {
    const bad = Array.from({ length: 1500 }, () => 7);
    const { problems } = await problemsAt(
      await writeFiles({ 'a/services.json': services(...bad) }),
    );
    expect(problems).toHaveLength(1001);
    expect(problems.at(-1)).toMatchObject({
      code: 'problems-omitted',
      severity: 'error',
      found: '500 more problems, 500 of them errors',
    });
  });
});

it('no problem code is left without a case above', () => {
  expect([...seen].sort()).toEqual(Object.keys(PROBLEM_REMEDIES).sort());
});
