/** Revisions with one thing wrong each, beside a pair of containers that works: the problems and links expected. */
import type { GraphOptions } from '../../../src/graph/builder.js';
import { type Files, requires, services } from './scratch.js';

export interface ProblemCase {
  readonly title: string;
  readonly files: Files;
  /** As `brief` has them. */
  readonly problems: readonly string[];
  readonly options?: GraphOptions;
  /** Names of the links that are left. */
  readonly links?: readonly string[];
}

export const RAW = { name: 'raw', type: 'unix', socket: '/run/raw.sock' };
/** A pair that works beside whatever is wrong. */
export const WORKING = {
  'good/services.json': services({ name: 'ok', type: 'unix', socket: '/run/ok.sock' }),
  'user/run.json': requires('ok'),
};
export const ENTRY_CASES: readonly ProblemCase[] = [
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
    title: 'TLS for a container, which would be served in the clear',
    files: {
      'a/services.json': services({ name: 'web', type: 'http', port: 80 }),
      'b/run.json': requires({
        ...{ name: 'web', type: 'http', target: '127.0.0.1:443' },
        tls: { cert: 'a.pem', key: 'a.key' },
      }),
    },
    problems: ['error shape-wrong b/run.json:/services/required/0/tls'],
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
      'notice field-ignored a/services.json:/services/0/mode',
      'notice field-ignored a/services.json:/services/0/fds',
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
    title: 'ingress rules whose "names" are none',
    files: {
      'device.json': {
        ingress: [5, 'org.example.Foo', {}, [null]].map((names) => {
          return { type: 'tcp', external: '0.0.0.0:80', service: 'ok', names };
        }),
      },
    },
    problems: [
      ...[0, 1, 2].map((at) => `error shape-wrong device.json:/ingress/${at}/names`),
      'error shape-wrong device.json:/ingress/3/names/0',
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
];
