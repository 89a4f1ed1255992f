/** `explain --call` and `--url`: what is declared decides, and the rule is named. */
import { describe, expect, it, test } from 'vitest';
import { declarationsOf } from '../../../src/cli/declaration.js';
import { explanations } from '../../../src/cli/explain.js';
import { parseCall, parseRequest } from '../../../src/cli/questions.js';
import { type Files, requires, revisionFrom, services } from '../manifest/scratch.js';

/** The step that answers, of the consumer's first link to `service`: `mark found` and, where it failed, the rest. */
function answer(
  files: Files,
  consumer: string,
  service: string,
  asked: { call?: string; url?: string },
) {
  const revision = revisionFrom(files);
  const call = parseCall(asked.call ?? '') ?? undefined;
  const url = parseRequest(asked.url ?? '') ?? undefined;
  const questions = { ...(call && { call }), ...(url && { url }) };
  const { all } = declarationsOf(revision);
  const [one] = explanations({ all, links: undefined, revision }, questions).filter(
    ({ consumer: who, name }) => who === consumer && name === service,
  );
  const step = one?.steps.find(({ name }) => name === 'call' || name === 'route');
  const rest = step?.mark === 'failed' ? [step.expected, step.remedy] : [];
  return [`${step?.mark} ${step?.found}`, ...rest];
}

const POLICY = {
  operator: {
    see: ['org.example.Quiet'],
    talk: ['org.example.Door1.*'],
    call: {
      'org.example.Admin': ['org.example.Admin.Status@/org/example/*', 'org.example.Admin.Ping'],
    },
  },
};
const bus = (more = {}) => ({
  'server/services.json': services({
    ...{ name: 'bus', type: 'dbus', socket: '/run/bus', policy: POLICY },
    ...more,
  }),
  'client/run.json': requires({ name: 'bus', role: 'operator' }),
});
const WHERE = 'server/services.json:/services/0/policy';

describe('a call', () => {
  it.each([
    [
      'org.example.Door1.Open',
      `org.example.Door1.Open of org.example.Door1: "talk": ["org.example.Door1.*"] in ${WHERE}`,
    ],
    [
      'org.example.Door1.Sub:org.any.Iface.Go@/x',
      `org.any.Iface.Go of org.example.Door1.Sub at /x: "talk": ["org.example.Door1.*"] in ${WHERE}`,
    ],
    [
      'org.example.Admin.Ping',
      `org.example.Admin.Ping of org.example.Admin: "call": {"org.example.Admin": ["org.example.Admin.Ping"]} in ${WHERE}`,
    ],
    [
      'org.example.Admin.Status',
      `org.example.Admin.Status of org.example.Admin at /org/example/* only: "call": {"org.example.Admin": ["org.example.Admin.Status@/org/example/*"]} in ${WHERE}`,
    ],
    [
      'org.example.Admin.Status@/org/example/a',
      `org.example.Admin.Status of org.example.Admin at /org/example/a: "call": {"org.example.Admin": ["org.example.Admin.Status@/org/example/*"]} in ${WHERE}`,
    ],
  ])('%s is allowed, by a rule', (call, found) => {
    expect(answer(bus(), 'client', 'bus', { call })).toEqual([`ok ${found}`]);
  });

  it('is refused as the policy would, with the rule that would allow it', () => {
    expect(answer(bus(), 'client', 'bus', { call: 'org.example.Quiet.Go' })).toEqual([
      'failed No rule for the role "operator" allows org.example.Quiet.Go of org.example.Quiet: it is answered with AccessDenied.',
      `a rule of ${WHERE} that allows it`,
      `Add "call": {"org.example.Quiet": ["org.example.Quiet.Go"]} for "operator" to ${WHERE}.`,
    ]);
    const call = 'org.example.Admin:org.example.Admin.Status@/other';
    expect(answer(bus(), 'client', 'bus', { call })[0]).toContain(
      'allows org.example.Admin.Status of org.example.Admin at /other: it is answered with AccessDenied.',
    );
    const [unseen] = answer(bus(), 'client', 'bus', { call: 'org.example.Hidden.Go' });
    expect(unseen).toContain('it is answered with ServiceUnknown.');
  });

  it('passes in audit mode, and without a policy', () => {
    const audit = bus({ policy_mode: 'audit' });
    expect(answer(audit, 'client', 'bus', { call: 'org.example.Quiet.Go' })[0]).toContain(
      `ok org.example.Quiet.Go of org.example.Quiet: no rule in ${WHERE}, which is in audit mode`,
    );
    const open = bus({ policy: undefined });
    expect(answer(open, 'client', 'bus', { call: 'org.example.Quiet.Go' })).toEqual([
      'ok no policy: every message passes, and the configuration of the bus decides',
    ]);
  });

  it('on the hosted bus is decided by who owns the name', () => {
    const files = {
      'door/services.json': services(
        {
          type: 'dbus',
          bus: 'system-bus',
          owns: 'org.example.Door1',
          role: 'door',
          allow: ['operator'],
        },
        {
          ...{ type: 'dbus', bus: 'system-bus', owns: 'org.example.Lock', role: 'door', allow: [] },
          calls: [{ role: 'guest', interfaces: ['org.example.Lock'], members: ['Look'] }],
        },
      ),
      'client/run.json': requires({ name: 'system-bus', role: 'operator' }),
      'guest/run.json': requires({ name: 'system-bus', role: 'guest' }),
    };
    const ask = (who: string, call: string) => answer(files, who, 'system-bus', { call });
    expect(ask('client', 'org.example.Door1.Open')).toEqual([
      'ok org.example.Door1.Open of org.example.Door1 of door: "operator" is in "allow" in door/services.json:/services/0',
    ]);
    expect(ask('guest', 'org.example.Door1.Open')).toEqual([
      'failed The role "guest" may not call org.example.Door1.Open of org.example.Door1: it is answered with AccessDenied.',
      '"guest" in "allow" or "calls" of door/services.json:/services/0',
      'Add "guest" to "allow" in door/services.json:/services/0.',
    ]);
    expect(ask('guest', 'org.example.Lock.Look')[0]).toContain('ok ');
    expect(ask('guest', 'org.example.Lock.Open')[0]).toContain('failed ');
    expect(ask('client', 'org.example.Dor1.Open')[0]).toBe(
      'failed No container owns org.example.Dor1 on the hosted bus (did you mean "org.example.Door1"?).',
    );
  });

  it('is none over a link that is no bus', () => {
    const files = {
      'server/services.json': services({ name: 'raw', type: 'unix', socket: '/run/raw' }),
      'client/run.json': requires('raw'),
    };
    expect(answer(files, 'client', 'raw', { call: 'a.b.C' })).toEqual([
      'skipped no bus: the link is unix',
    ]);
  });
});

const HTTP = {
  'server/services.json': services(
    {
      name: 'api',
      type: 'rest',
      socket: '/run/api',
      rules: { '*': ['GET /status', 'POST /doors/*'] },
    },
    { name: 'site', type: 'http', port: 8080 },
    { name: 'admin', type: 'http', port: 8081 },
  ),
  'client/run.json': requires('api'),
  'device.json': {
    ingress: [
      { type: 'http', external: '0.0.0.0:80', service: 'site' },
      { type: 'http', external: '0.0.0.0:80/admin', service: 'admin' },
      { type: 'http', external: '0.0.0.0:81', service: 'site', host: '*.example.org' },
      { type: 'http', external: '0.0.0.0:80/rest', service: 'api' },
    ],
  },
};

describe('a request', () => {
  it.each([
    ['client', 'api', 'GET /status?x=1', 'ok GET /status?x=1 goes to server by "GET /status"'],
    ['client', 'api', 'POST /doors/1', 'ok POST /doors/1 goes to server by "POST /doors/*"'],
    ['EXTERNAL', 'site', '/any', 'ok GET /any goes to server; there are no rules'],
    ['EXTERNAL', 'admin', '/admin/x', 'ok GET /admin/x, as /x, goes to server; there are no rules'],
    [
      'EXTERNAL',
      'api',
      '/rest/status',
      'ok GET /rest/status, as /status, goes to server by "GET /status"',
    ],
  ])('of %s to %s: %s', (consumer, service, url, found) => {
    expect(answer(HTTP, consumer, service, { url })).toEqual([found]);
  });

  it('that no rule allows is told with the rules there are', () => {
    expect(answer(HTTP, 'client', 'api', { url: 'DELETE /status' })).toEqual([
      'failed No rule for the role "any" allows DELETE /status: it is answered with 403.',
      'one of "GET /status", "POST /doors/*"',
      'Add "DELETE /status" for "any" to "rules" in server/services.json:/services/0.',
    ]);
  });

  it('that another link takes, or none, is told so', () => {
    expect(answer(HTTP, 'EXTERNAL', 'site', { url: '/admin' })).toEqual([
      'failed GET /admin of any host goes to admin of server, which is at 0.0.0.0:80/admin.',
      'a path that leads to site of server',
      'Ask for a path that no other link has a longer prefix or a more specific host for.',
    ]);
    const alone = { ...HTTP, 'device.json': { ingress: [HTTP['device.json'].ingress[1]] } };
    const [missed, expected] = answer(alone, 'EXTERNAL', 'admin', { url: '/apix' });
    expect(missed).toBe(
      'failed GET /apix of any host is for none of the links at 0.0.0.0:80: it is answered with 404.',
    );
    expect(expected).toBe('a path below /admin that leads to admin of server');
    expect(answer(HTTP, 'EXTERNAL', 'site', { url: '/a/../b' })[0]).toContain('answered with 400');
  });

  it('goes where the listener of its address sends it, however that address is written', () => {
    const [site, admin] = HTTP['device.json'].ingress;
    const ingress = [
      { ...site, external: '[::]:80' },
      { ...admin, external: '[0:0::0]:080/admin' },
    ];
    const files = { ...HTTP, 'device.json': { ingress } };
    expect(answer(files, 'EXTERNAL', 'site', { url: '/admin' })[0]).toBe(
      'failed GET /admin of any host goes to admin of server, which is at [0:0::0]:080/admin.',
    );
    const alone = { ...HTTP, 'device.json': { ingress: [ingress[1]] } };
    expect(answer(alone, 'EXTERNAL', 'admin', { url: '/x' })[0]).toContain(
      'is for none of the links at [::]:80: it is answered with 404.',
    );
  });

  it('is for a link of one host only by that', () => {
    const alone = { ...HTTP, 'device.json': { ingress: [HTTP['device.json'].ingress[2]] } };
    const ask = (url: string) => answer(alone, 'EXTERNAL', 'site', { url })[0];
    expect(ask('/')).toContain('ok GET / goes to server');
    expect(ask('http://a.example.org:81/x')).toContain('ok GET /x goes to server');
    expect(ask('http://example.com/x')).toContain('failed GET /x of example.com is for none');
  });
});

describe('what is asked', () => {
  test.each(['', 'Open', 'a.Open', '1:a.b.Open', 'a.b.Op-en', 'a.b.Open@x', 'a.b.Open@', 'a.b.*'])(
    'is no call: %j',
    (text) => expect(parseCall(text)).toBeNull(),
  );

  test.each(['', 'x', 'GET', 'GET x', 'ftp://a/', '/a b', '/a#b'])('is no request: %j', (text) =>
    expect(parseRequest(text)).toBeNull(),
  );

  it('may be a host alone', () => {
    expect(parseRequest('post https://a:1')).toEqual({ method: 'POST', host: 'a:1', target: '/' });
  });
});
