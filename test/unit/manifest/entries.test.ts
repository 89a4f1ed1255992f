/** What entries mean: forms, aliases, defaults, and which file is believed. */
import { describe, expect, it } from 'vitest';
import { brief, requires, revisionFrom, SPEC, services } from './scratch.js';

const RAW = { name: 'raw', type: 'unix', socket: '/run/raw.sock' };

function required(files: Record<string, unknown>) {
  const revision = revisionFrom(files);
  expect(revision.problems).toEqual([]);
  return revision.containers[0]?.requirements.map(({ place, ...rest }) => ({
    ...rest,
    at: `${place.file}:${place.pointer}`,
  }));
}

describe('services.json', () => {
  it.each([
    ['@1', { '#spec': SPEC, services: [RAW] }, '/services/0'],
    ['@2', { '#spec': 'service-manifest-xconnect@2', services: [RAW] }, '/services/0'],
    ['a bare array', [RAW], '/0'],
  ])('is read as %s', (_, json, pointer) => {
    const revision = revisionFrom({ 'a/services.json': json });
    expect(revision.problems).toEqual([]);
    expect(revision.containers[0]?.services).toEqual([
      { ...RAW, place: { file: 'a/services.json', pointer } },
    ]);
  });

  it('keeps the fields of ours and ignores those of others', () => {
    const service = { ...RAW, mode: 'seqpacket', fds: false, allow: ['operator', 'container:web'] };
    const revision = revisionFrom({ 'a/services.json': services({ ...service, future: [1] }) });
    expect(revision.containers[0]?.services[0]).toEqual({ ...service, place: expect.anything() });
  });

  it('takes an owner of a bus name without a name of its own', () => {
    const owner = { type: 'dbus', owns: 'org.example.Foo', role: 'foo', allow: ['operator'] };
    const revision = revisionFrom({
      'a/services.json': services(
        { ...owner, activation: { mode: 'on-demand' } },
        { ...owner, owns: 'org.example.Bar', bus: 'session', activation: { mode: 'always' } },
      ),
    });
    expect(revision.problems).toEqual([]);
    expect(revision.containers[0]?.services).toMatchObject([
      { bus: 'system-bus', owns: 'org.example.Foo', role: 'foo', activation: 'on-demand' },
      { bus: 'session', owns: 'org.example.Bar', role: 'foo', activation: 'always' },
    ]);
  });

  it('takes a policy by role, whatever the roles are called', () => {
    const policy = JSON.parse(
      '{"operator":{"see":["org.example.*"],"call":{"org.example.A":["org.example.A.Get@/x/*"]}},"__proto__":{"talk":[]}}',
    );
    const bus = { name: 'bus', type: 'dbus', socket: '/run/bus', policy };
    const revision = revisionFrom({ 'a/services.json': services(bus) });
    expect(revision.problems).toEqual([]);
    const read = revision.containers[0]?.services[0]?.policy;
    expect([...(read ?? [])].map(([role]) => role)).toEqual(['operator', '__proto__']);
    expect(read?.get('operator')).toEqual(policy.operator);
  });

  it('takes a port or a socket for tcp and http', () => {
    const revision = revisionFrom({
      'a/services.json': services(
        { name: 'one', type: 'tcp', port: 80 },
        { name: 'two', type: 'http', socket: '/run/two.sock' },
      ),
    });
    expect(revision.problems).toEqual([]);
    expect(revision.containers[0]?.services).toHaveLength(2);
  });
});

describe('requirements', () => {
  it('are read from run.json, which wins over args.json', () => {
    expect(
      required({
        'a/run.json': { services: { required: ['one'], optional: [{ name: 'two' }] } },
        'a/args.json': { PV_SERVICES_REQUIRED: ['other'] },
      }),
    ).toEqual([
      { name: 'one', role: 'any', optional: false, at: 'a/run.json:/services/required/0' },
      { name: 'two', role: 'any', optional: true, at: 'a/run.json:/services/optional/0' },
    ]);
  });

  it('are read from args.json where run.json says nothing of services', () => {
    expect(
      required({
        'a/run.json': { name: 'a' },
        'a/args.json': { PV_SERVICES_REQUIRED: ['one'], PV_SERVICES_OPTIONAL: ['two'] },
      }),
    ).toEqual([
      { name: 'one', role: 'any', optional: false, at: 'a/args.json:/PV_SERVICES_REQUIRED/0' },
      { name: 'two', role: 'any', optional: true, at: 'a/args.json:/PV_SERVICES_OPTIONAL/0' },
    ]);
  });

  it('are none where run.json says so', () => {
    expect(
      required({ 'a/run.json': { services: {} }, 'a/args.json': { PV_SERVICES_REQUIRED: ['x'] } }),
    ).toEqual([]);
  });

  it('are names where a string stands in place of the array', () => {
    const at = 'a/args.json:/PV_SERVICES_REQUIRED';
    expect(required({ 'a/args.json': { PV_SERVICES_REQUIRED: ' one, two ,,' } })).toEqual([
      { name: 'one', role: 'any', optional: false, at },
      { name: 'two', role: 'any', optional: false, at },
    ]);
  });

  it('may say service for name and external for target', () => {
    expect(
      required({ 'a/run.json': requires({ service: 'one', external: '/run/x.sock' }) }),
    ).toEqual([expect.objectContaining({ name: 'one', target: '/run/x.sock' })]);
  });

  it('keep every field of an object, and lower the case of a host', () => {
    const entry = {
      type: 'http',
      role: 'web',
      provider: 'b',
      interface: 'org.example.Api',
    };
    const target = '[::1]:8080/api';
    expect(
      required({ 'a/run.json': requires({ ...entry, name: 'one', target, host: 'Example.ORG' }) }),
    ).toEqual([expect.objectContaining({ ...entry, name: 'one', target, host: 'example.org' })]);
  });

  it('that are bad take out themselves alone', () => {
    const revision = revisionFrom({
      'a/run.json': requires(null, {}, '', 'a/b', { name: 'x', role: 7 }, 'good', ['x']),
    });
    const { requirements = [] } = revision.containers[0] ?? {};
    const sound = requirements.filter(({ refused }) => !refused);
    expect(sound.map(({ name }) => name)).toEqual(['good']);
    expect(brief(revision.problems)).toEqual([
      'error shape-wrong a/run.json:/services/required/0',
      'error shape-wrong a/run.json:/services/required/1',
      'error name-invalid a/run.json:/services/required/2',
      'error name-invalid a/run.json:/services/required/3',
      'error name-invalid a/run.json:/services/required/4/role',
      'error shape-wrong a/run.json:/services/required/6',
    ]);
  });
});

describe('device.json', () => {
  it('yields groups, pools and ingress rules under our names', () => {
    const subnet = { subnet: '10.0.3.0/24', gateway: '10.0.3.1' };
    const pool = { type: 'bridge', bridge: 'br0', ...subnet, nat: true };
    const { device, problems } = revisionFrom({
      'device.json': {
        groups: [
          {
            name: 'app',
            status_goal: 'READY',
            restart_policy: 'container',
            timeout: 30,
            auto_recovery: {
              policy: 'on-failure',
              max_retries: 5,
              retry_delay: 2,
              backoff_factor: 1.5,
              reset_window: 60,
            },
          },
        ],
        network: {
          pools: {
            internal: pool,
          },
        },
        ingress: [
          {
            name: 'api',
            type: 'http',
            external: '0.0.0.0:80/api',
            provider: 'web',
            service: 'rest',
          },
        ],
        disks: 'not ours',
      },
    });
    expect(problems).toEqual([]);
    expect(device).toEqual({
      groups: [
        {
          name: 'app',
          statusGoal: 'READY',
          restartPolicy: 'container',
          timeout: 30,
          autoRecovery: {
            policy: 'on-failure',
            maxRetries: 5,
            retryDelay: 2,
            backoffFactor: 1.5,
            resetWindow: 60,
          },
        },
      ],
      pools: [{ name: 'internal', ...pool }],
      ingress: [
        {
          name: 'rest',
          rule: 'api',
          type: 'http',
          target: '0.0.0.0:80/api',
          provider: 'web',
          role: 'any',
          optional: false,
          place: { file: 'device.json', pointer: '/ingress/0' },
        },
      ],
    });
  });

  it('loses only the entries that are wrong', () => {
    const { device, problems } = revisionFrom({
      'device.json': {
        groups: [{ name: 'a', status_goal: 'DONE' }, { name: 'b' }, { name: 'b' }],
        network: {
          pools: {
            bad: { type: 'bridge', subnet: '10.0.3.0/33' },
            ok: { type: 'bridge' },
            'x/y': { type: 'bridge' },
          },
        },
      },
    });
    expect(device).toEqual({
      groups: [{ name: 'b' }],
      pools: [{ name: 'ok', type: 'bridge' }],
      ingress: [],
    });
    expect(brief(problems)).toEqual([
      'error shape-wrong device.json:/groups/0/status_goal',
      'error shape-wrong device.json:/groups/2',
      'error shape-wrong device.json:/network/pools/bad/subnet',
      'error name-invalid device.json:/network/pools/x~1y',
    ]);
  });
});
