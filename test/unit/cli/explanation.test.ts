/** The chain of one link: which step an error of the daemon or a problem of a revision is about, and what helps. */
import { describe, expect, it, test } from 'vitest';
import { declarationsOf, whyNone } from '../../../src/cli/declaration.js';
import {
  type Explanation,
  explain,
  firstFailure,
  type LiveLink,
} from '../../../src/cli/explanation.js';
import { STEPS, type StepName } from '../../../src/cli/steps.js';
import { type ErrorCode, REMEDIES } from '../../../src/kernel/errors.js';
import { readRevision } from '../../../src/manifest/reader.js';
import { type Files, requires, revisionFrom, services, writeFiles } from '../manifest/scratch.js';

const LIVE: LiveLink = {
  consumer: 'client',
  consumer_pid: 7,
  provider: 'server',
  provider_pid: 8,
  name: 'raw',
  type: 'unix',
  role: 'operator',
  target: '/run/pv/services/raw.sock',
  socket: '/run/raw',
  state: 'established',
  since: '2026-11-23T10:00:00.000Z',
  last_error: null,
  connections: { active: 1, total: 42 },
  bytes: { to_provider: 10, to_consumer: 20 },
  closes: { eof: 40, reset: 1 },
  denied: {},
};
const RAW = { name: 'raw', type: 'unix', socket: '/run/raw' };
const CLIENT = requires({ name: 'raw', role: 'operator' });
const FILES = { 'server/services.json': services(RAW), 'client/run.json': CLIENT };

const failedWith = (code: ErrorCode, message = 'It failed.'): LiveLink => {
  const error = { code, message, remedy: REMEDIES[code], since: LIVE.since };
  return { ...LIVE, state: 'failed', last_error: error };
};
const marks = ({ steps }: Explanation) =>
  steps.map(({ mark }) => ({ ok: '✓', failed: '✗', skipped: '·' })[mark]).join('');
const declared = (files: Files) => {
  const [declaration] = declarationsOf(revisionFrom(files)).all;
  return declaration as NonNullable<typeof declaration>;
};

describe('a link that works', () => {
  it('is well at every step', () => {
    const explanation = explain({
      declaration: declared(FILES),
      live: { ...LIVE, uid: 90_000 },
      since: (pid) => `since ${pid}`,
    });
    expect(explanation.steps.map(({ name, mark, found }) => [name, mark, found])).toEqual([
      ['declared', 'ok', 'client/run.json:/services/required/0'],
      ['exporter', 'ok', 'server, server/services.json:/services/0'],
      ['allowed', 'ok', 'everyone may'],
      ['containers', 'ok', 'client (pid 7, since 7), server (pid 8, since 8)'],
      ['target', 'ok', '/run/pv/services/raw.sock in client'],
      ['socket', 'ok', '/run/raw in server'],
      ['identity', 'ok', 'the role "operator", uid 90000'],
      [
        'connections',
        'ok',
        '1 open of 42, 10 bytes to the provider, 20 to the consumer; ended: eof 40, reset 1',
      ],
    ]);
  });

  it('that nobody used has not reached its last step', () => {
    const live = { ...LIVE, connections: { active: 0, total: 0 }, closes: {} };
    const explanation = explain({ live });
    expect(marks(explanation)).toBe('✓✓✓✓✓✓✓·');
    expect(explanation.steps[0]?.found).toBe('in the graph of the daemon');
    expect(explanation.steps.at(-1)?.found).toBe('nobody has connected yet');
  });

  it('says what did not reach the provider', () => {
    const live = { ...LIVE, connections: { active: 0, total: 5, refused: 2 }, closes: {} };
    expect(explain({ live }).steps.at(-1)?.found).toContain('; 2 did not reach the provider');
  });
});

const STEP: Readonly<Record<(typeof STEPS)[number], readonly ErrorCode[]>> = {
  declared: [
    ...(['manifest-invalid', 'runtime-away', 'runtime-answer', 'state-unreadable'] as const),
    ...(['engine-away', 'engine-slow', 'engine-answer'] as const),
  ],
  exporter: ['requirement-unmet', 'type-unknown', 'type-unsupported'],
  allowed: ['not-allowed', 'device-fd-only'],
  containers: [
    ...(['consumer-not-running', 'provider-not-running', 'container-gone'] as const),
    'not-a-container',
  ],
  target: [
    ...(['target-invalid', 'target-occupied', 'target-read-only', 'target-on-host'] as const),
    ...(['target-lost', 'target-unreachable', 'certificate-invalid', 'plugin-missing'] as const),
    ...(['plugin-unreadable', 'plugin-failed', 'plugin-invalid', 'limit-reached'] as const),
    ...([
      'permission-denied',
      'network-closed',
      'broker-lost',
      'relay-lost',
      'broker-failed',
    ] as const),
    ...(['timed-out', 'internal'] as const),
  ],
  socket: [
    ...(['provider-socket-missing', 'provider-not-a-socket', 'provider-loop'] as const),
    ...(['provider-refused', 'device-missing', 'device-wrong', 'device-ambiguous'] as const),
    ...(['device-busy', 'connector-missing', 'bus-off', 'bus-away', 'bus-unlisted'] as const),
  ],
  identity: ['bus-refused', 'bus-uid', 'identity-unknown'],
  connections: ['provider-unhealthy'],
};

describe('an error of the daemon', () => {
  test.each(STEPS.flatMap((step) => STEP[step].map((code) => [code, step] as const)))(
    '%s is at the step %s, and its remedy is said',
    (code, step) => {
      const explanation = explain({ live: failedWith(code) });
      const at = STEPS.indexOf(step);
      expect(marks(explanation)).toBe(`${'✓'.repeat(at)}✗${'·'.repeat(STEPS.length - at - 1)}`);
      expect(firstFailure(explanation)).toMatchObject({
        name: step,
        found: expect.stringMatching(/^It failed\./),
        remedy: REMEDIES[code],
        expected: expect.stringMatching(/\S/),
      });
    },
  );

  it('about a device comes before anything is made in the consumer', () => {
    const explanation = explain({ live: { ...failedWith('device-missing'), type: 'drm' } });
    expect(marks(explanation)).toBe('✓✓✓✓✗···');
    expect(explanation.steps[4]?.name).toBe('socket');
  });

  it('is among those, each', () => {
    expect(Object.values(STEP).flat().sort()).toEqual(Object.keys(REMEDIES).sort());
  });

  it.each(['limit-reached', 'permission-denied', 'network-closed', 'not-a-container'] as const)(
    '%s about the socket of the provider is at that step',
    (code) => {
      const live = failedWith(code, '/run/raw in server: EMFILE.');
      expect(firstFailure(explain({ live }))?.name).toBe('socket');
    },
  );

  it('timed-out of a bus that does not answer is at the socket', () => {
    const live = failedWith('timed-out', 'The bus of server did not answer a login within 5 s.');
    expect(firstFailure(explain({ live }))?.name).toBe('socket');
  });

  it('names the entry of the manifest that it is about', () => {
    const declaration = declared(FILES);
    const remedy = (code: ErrorCode) =>
      firstFailure(explain({ declaration, live: failedWith(code) }))?.remedy;
    expect(remedy('provider-socket-missing')).toBe(
      `${REMEDIES['provider-socket-missing']} It is declared in server/services.json:/services/0.`,
    );
    expect(remedy('target-occupied')).toBe(
      `${REMEDIES['target-occupied']} It is declared in client/run.json:/services/required/0.`,
    );
    expect(remedy('consumer-not-running')).toBe(REMEDIES['consumer-not-running']);
    expect(remedy('not-allowed')).toBe(
      'Add "operator" or "container:client" to "allow" in server/services.json:/services/0.',
    );
  });

  it('that is not there yet is told as that', () => {
    const between = (state: string) => firstFailure(explain({ live: { ...LIVE, state } }))?.found;
    expect(between('waiting')).toBe('The link is being made.');
    expect(between('draining')).toBe('It has left the graph, and its connections are finishing.');
  });
});

describe('a problem of the revision', () => {
  const API = { name: 'api', type: 'rest', socket: '/run/api' };
  test.each<[string, Files, StepName, string, string, string]>([
    [
      'a misspelt service',
      { ...FILES, 'client/run.json': requires('rwa') },
      'exporter',
      'client/run.json:/services/required/0: found no container that exports "rwa".',
      'one (did you mean "raw" of server?)',
      'Add a container that exports the service, or make the requirement optional.',
    ],
    [
      'a provider that exports no such service',
      { ...FILES, 'client/run.json': requires({ name: 'raw', provider: 'other' }) },
      'exporter',
      'client/run.json:/services/required/0/provider: found "other", which exports no "raw".',
      '"server"',
      'Correct "provider": it must name a container that exports the service.',
    ],
    [
      'two providers',
      { ...FILES, 'other/services.json': services(RAW) },
      'exporter',
      'client/run.json:/services/required/0: found 2 containers that export "raw".',
      '"provider", one of "other", "server"',
      'Say which one with "provider".',
    ],
    [
      'a type that is not served',
      { ...FILES, 'client/run.json': requires({ name: 'raw', type: 'drm' }) },
      'exporter',
      'client/run.json:/services/required/0/type: found type drm wanted of raw of server, which is unix.',
      'one of unix, tcp, rest, http',
      'Ask for a type that the provider can serve.',
    ],
    [
      'a role that is not allowed',
      { ...FILES, 'server/services.json': services({ ...RAW, allow: ['operators'] }) },
      'allowed',
      'client/run.json:/services/required/0: found client with the role "operator".',
      'one that "allow" of raw in server names (did you mean "operators"?)',
      'Add "operator" or "container:client" to "allow" in server/services.json:/services/0.',
    ],
    [
      'rules that a raw link would not keep',
      {
        'server/services.json': services({ ...API, rules: { '*': ['GET /'] } }),
        'client/run.json': requires({ name: 'api', type: 'unix' }),
      },
      'allowed',
      'client/run.json:/services/required/0: found api of server, which has rules, as unix.',
      'it as rest or http',
      'Require it as rest or http in client/run.json:/services/required/0, or take "rules" from server/services.json:/services/0.',
    ],
    [
      'an entry of the provider that is refused',
      { ...FILES, 'server/services.json': services({ ...RAW, socket: 'run/raw' }) },
      'declared',
      'server/services.json:/services/0/socket: found "run/raw".',
      'an absolute path without ".."',
      'Give an absolute path without "..".',
    ],
    [
      'an entry of the consumer that is refused',
      { ...FILES, 'client/run.json': requires({ name: 'raw', rolle: 'x' }) },
      'declared',
      'client/run.json:/services/required/0/rolle: found the unknown field "rolle".',
      '"role"',
      'Correct it; until then neither it nor what it may have limited is served.',
    ],
    [
      'a target that another requirement has',
      {
        ...FILES,
        'client/run.json': requires('raw', { name: 'raw', target: '/run/pv/services/raw.sock' }),
      },
      'declared',
      '',
      'one that is free',
      'Give each requirement of the container its own target.',
    ],
    [
      'a target that no program could connect to',
      { ...FILES, 'client/run.json': requires({ name: 'raw', target: `/${'x'.repeat(200)}` }) },
      'declared',
      '',
      '',
      'Choose a shorter path.',
    ],
    [
      'a bus name that nobody owns',
      { 'client/run.json': requires({ names: ['org.example.X'] }) },
      'exporter',
      'client/run.json:/services/required/0: found no container that owns "org.example.X" on the system-bus.',
      'one',
      'Add a container that owns the name, or make the requirement optional.',
    ],
  ])('%s is found without a daemon', (_, files, step, found, expected, remedy) => {
    const { all } = declarationsOf(revisionFrom(files));
    const failures = all.flatMap((declaration) => firstFailure(explain({ declaration })) ?? []);
    expect(failures).toHaveLength(1);
    expect(failures[0]?.name).toBe(step);
    if (found !== '') expect(failures[0]?.found).toBe(found);
    if (expected !== '') expect(failures[0]?.expected).toBe(expected);
    if (remedy !== '') expect(failures[0]?.remedy).toBe(remedy);
  });

  it('in all of services.json is told as that', async () => {
    const folder = await writeFiles({ ...FILES, 'server/services.json': '{' });
    const [declaration] = declarationsOf(await readRevision(folder)).all;
    const failure = firstFailure(explain({ declaration }));
    expect(failure).toMatchObject({ name: 'declared', mark: 'failed' });
    expect(failure?.found).toMatch(/^server\/services.json: found the end/);
  });

  it('is told before the error of the daemon that it leads to', () => {
    const files = { ...FILES, 'server/services.json': services({ ...RAW, socket: 'run/raw' }) };
    const live = failedWith('manifest-invalid', 'Something is wrong.');
    const failure = firstFailure(explain({ declaration: declared(files), live }));
    expect(failure?.found).toContain('found "run/raw"');
  });

  it('of which there is none is a link that the daemon has, or has not yet', () => {
    expect(marks(explain({ declaration: declared(FILES) }))).toBe('✓✓✓·····');
    const asked = explain({ declaration: declared(FILES), asked: true });
    expect(marks(asked)).toBe('✗·······');
    expect(firstFailure(asked)?.found).toBe(
      'The daemon has no link for client/run.json:/services/required/0.',
    );
  });
});

test('links of one consumer to one service are told apart by their targets', () => {
  const { all } = declarationsOf(
    revisionFrom({
      ...FILES,
      'client/run.json': requires({ name: 'raw', target: '/run/a' }, 'raw', {
        name: 'raw',
        target: '/run/b',
      }),
      'device.json': { ingress: [{ external: '0.0.0.0:80', service: 'raw' }] },
    }),
  );
  expect(all.map(({ consumer, link }) => [consumer, link?.target])).toEqual([
    ['client', '/run/a'],
    ['client', '/run/pv/services/raw.sock'],
    ['client', '/run/b'],
    ['EXTERNAL', '0.0.0.0:80'],
  ]);
});

describe('a link that nobody declared', () => {
  const declarations = declarationsOf(revisionFrom(FILES));
  test.each([
    [
      'cleint',
      undefined,
      'The revision has no container cleint (did you mean client?). It has client, server.',
    ],
    [
      'server',
      undefined,
      'server requires nothing. Requirements are in server/run.json or args.json.',
    ],
    [
      'server',
      'raw',
      'server requires nothing, and not raw. Add "raw" to what server/run.json requires.',
    ],
    [
      'client',
      'rwa',
      'client requires raw, and not rwa (did you mean raw?). No container exports rwa (did you mean raw?); correct the name, or add one that does.',
    ],
  ])('%s %s', (consumer, service, text) => {
    const { found, remedy } = whyNone(declarations, consumer, service);
    expect(`${found} ${remedy}`).toBe(text);
  });
});
