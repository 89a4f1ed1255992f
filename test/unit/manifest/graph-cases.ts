/** More of entry-cases.ts: what is wrong between the fields of an entry, between entries and between containers. */
import { type ProblemCase, RAW } from './entry-cases.js';
import { requires, services } from './scratch.js';

const owner = (owns: string, more: object = {}) => ({
  type: 'dbus',
  owns,
  role: 'owner',
  allow: ['any'],
  ...more,
});
const ON_DEMAND = { activation: { mode: 'on-demand' } };

export const GRAPH_CASES: readonly ProblemCase[] = [
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
    title: 'a name on a bus that nobody hosts, and the name of the bus itself',
    files: {
      'a/services.json': services(
        owner('org.example.Foo', { bus: 'session' }),
        owner('org.freedesktop.DBus'),
      ),
    },
    problems: [
      'error name-invalid a/services.json:/services/1/owns',
      'notice bus-unknown a/services.json:/services/0/bus',
    ],
  },
  {
    title: 'a container among those that may call a name',
    files: {
      'a/services.json': services(owner('org.example.Foo', { allow: ['operator', 'container:b'] })),
    },
    problems: ['notice shape-wrong a/services.json:/services/0/allow'],
  },
  {
    title: 'a policy for a name on a hosted bus, where nobody would hold anybody to it',
    files: { 'a/services.json': services(owner('org.example.Foo', { policy: { any: {} } })) },
    problems: ['error policy-invalid a/services.json:/services/0/policy'],
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
    title: 'a field that nobody knows, and one that was to limit access',
    files: { 'a/services.json': services({ ...RAW, color: 'red' }, { ...RAW, alow: [] }) },
    problems: [
      'notice field-unknown a/services.json:/services/0/color',
      'error field-unknown a/services.json:/services/1/alow',
    ],
  },
  {
    title: 'a target longer than a program can connect to',
    files: {
      'a/services.json': services(RAW),
      'b/run.json': requires({ name: 'raw', target: `/run/${'x'.repeat(103)}` }),
    },
    problems: ['error path-too-long b/run.json:/services/required/0'],
    links: ['ok', 'raw'],
  },
  {
    title: 'a role that nobody has',
    files: {
      'a/services.json': services({ ...RAW, allow: ['any', 'operator'] }),
      'b/run.json': requires('raw'),
    },
    problems: ['notice role-unknown a/services.json:/services/0/allow'],
    links: ['ok', 'raw'],
  },
  {
    title: 'a name on the bus that nobody owns',
    files: { 'b/run.json': requires({ names: ['org.example.Foo'] }) },
    options: { hostedBus: { socket: '/run/pv-xconnect/bus' } },
    problems: ['error bus-name-missing b/run.json:/services/required/0'],
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
