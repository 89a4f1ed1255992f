/** Mistakes that people make in manifests: one a row, with every sentence that is said of it and the links that are left. */
import { expect, it } from 'vitest';
import { buildGraph } from '../../../src/graph/builder.js';
import { unhosted } from '../../../src/graph/hosted-bus.js';
import { placeText } from '../../../src/manifest/problem.js';
import { readRevision } from '../../../src/manifest/reader.js';
import { API, FIELD_MISTAKES, type Mistake, OWNER, pair, RAW, WEB } from './field-mistakes.js';
import { requires, services, writeFiles } from './scratch.js';

const MISTAKES: readonly Mistake[] = [
  {
    title: 'a role that nobody has',
    files: pair(
      { ...API, rules: { operater: ['GET /'], '*': [] } },
      { name: 'api', role: 'operator' },
    ),
    said: [
      'notice server/services.json:/services/0/rules/operater: found the role "operater", which no requirement has, expected a known one (did you mean "operator"?): correct the name; there is nothing to do if it is for a container to come.',
    ],
    links: ['client api'],
  },
  {
    title: 'a container that is not there',
    files: pair({ ...RAW, allow: ['container:clinet', 'any'] }),
    said: [
      'notice server/services.json:/services/0/allow: found the container "clinet", which is not there, expected a known one (did you mean "client"?): correct the name; there is nothing to do if it is for a container to come.',
    ],
    links: ['client raw'],
  },
  {
    title: 'a role that is not allowed, nearly',
    files: pair({ ...RAW, allow: ['operator'] }, { name: 'raw', role: 'operatr' }),
    said: [
      'error client/run.json:/services/required/0: found client with the role "operatr", expected one that "allow" of raw in server names (did you mean "operator"?): add the role, or container:<name>, to "allow" of the service.',
    ],
    links: [
      'client raw: not-allowed: client with the role "operatr" may not consume raw of server.',
    ],
  },
  {
    title: 'a name misspelt',
    files: pair(RAW, 'rwa'),
    said: [
      'error client/run.json:/services/required/0: found no container that exports "rwa", expected one (did you mean "raw" of server?): add a container that exports the service, or make the requirement optional.',
    ],
    links: [],
  },
  {
    title: 'a type misspelt',
    files: pair({ ...RAW, type: 'uinx' }),
    said: [
      'error server/services.json:/services/0/type: found "uinx", expected one of unix, rest, dbus, drm, input, wayland, tcp, http (did you mean "unix"?): correct the type.',
    ],
    links: [
      'client raw: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'a provider misspelt',
    files: {
      ...pair(RAW, { name: 'raw', provider: 'sever' }),
      'other/services.json': services(RAW),
    },
    said: [
      'error client/run.json:/services/required/0/provider: found "sever", which exports no "raw", expected "other", "server" (did you mean "server"?): correct "provider": it must name a container that exports the service.',
    ],
    links: [],
  },
  {
    title: 'a number in quotes',
    files: pair({ ...WEB, port: '8080' }, { name: 'web', target: '127.0.0.1:80' }),
    said: [
      'error server/services.json:/services/0/port: found "8080", expected a TCP port from 1 to 65535, without the quotes: give a TCP port from 1 to 65535.',
    ],
    links: [
      'client web: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'a truth value in quotes',
    files: pair({ ...RAW, fds: 'false' }),
    said: [
      'error server/services.json:/services/0/fds: found "false", expected true or false, without the quotes: give the value that is expected there.',
    ],
    links: [
      'client raw: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'a limit in quotes',
    files: pair(API, { name: 'api', limits: { head: '1024' } }),
    said: [
      'error client/run.json:/services/required/0/limits/head: found "1024", expected a number of bytes from 256 to 65536, without the quotes: give the value that is expected there.',
    ],
    links: [
      'client api: manifest-invalid: client/run.json:/services/required/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'a target that nobody can connect to',
    files: pair(RAW, {
      name: 'raw',
      target: `/run/${'x'.repeat(110)}`,
    }),
    said: [
      'error client/run.json:/services/required/0: found a target of 115 bytes, expected at most 107, which is what a program can connect to: choose a shorter path.',
    ],
    links: [
      'client raw: target-invalid: Found a target of 115 bytes, expected at most 107, which is what a program can connect to.',
    ],
  },
  {
    title: 'an optional service that is missing',
    files: {
      'client/run.json': { services: { optional: ['clock'] } },
    },
    said: [
      'notice client/run.json:/services/optional/0: found no container that exports "clock", expected one: nothing to do if it may be missing; else add a container that exports it.',
    ],
    links: [],
  },
  {
    title: 'a comma too many',
    files: {
      'server/services.json': services(RAW),
      'client/run.json': '{\n  "services": {\n    "required": ["raw",]\n  }\n}',
    },
    said: [
      'error client/run.json: found "]" at line 3, column 24, after `"required": ["raw",`, expected no comma before it: correct the JSON at the place that the message names.',
    ],
    links: [],
  },
  {
    title: 'a comma too few',
    files: {
      'server/services.json': '{\n  "#spec": "service-manifest-xconnect@1"\n  "services": []\n}',
      'client/run.json': requires('raw'),
    },
    said: [
      'error server/services.json: found the string "services" at line 3, column 3, after `...ice-manifest-xconnect@1"`, expected "," or "}": correct the JSON at the place that the message names.',
    ],
    links: [
      'client raw: manifest-invalid: server/services.json is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'a comment',
    files: { 'client/run.json': '{\n  // what it needs\n  "services": {}\n}' },
    said: [
      'error client/run.json: found a comment at line 2, column 3, after `{`, expected no comments, which JSON has not: correct the JSON at the place that the message names.',
    ],
    links: [],
  },
  {
    title: 'single quotes',
    files: { 'client/run.json': "{'services': {}}" },
    said: [
      'error client/run.json: found a single quote at line 1, column 2, after `{`, expected a key in double quotes or "}": correct the JSON at the place that the message names.',
    ],
    links: [],
  },
  {
    title: 'half a file',
    files: { 'client/run.json': '{"services": {"required": ["raw"' },
    said: [
      'error client/run.json: found the end of the file at line 1, column 33, after `...es": {"required": ["raw"`, expected "," or "]": correct the JSON at the place that the message names.',
    ],
    links: [],
  },
  {
    title: 'a string that does not end',
    files: { 'client/run.json': '{"name": "client\n}' },
    said: [
      'error client/run.json: found the end of the line at line 1, column 17, after `{"name": "client`, expected the closing double quote: correct the JSON at the place that the message names.',
    ],
    links: [],
  },
  {
    title: 'an unknown spec',
    files: {
      'server/services.json': { '#spec': 'service-manifest-xconnect@9', services: [RAW] },
      'client/run.json': requires('raw'),
    },
    said: [
      'error server/services.json:/#spec: found the "#spec" "service-manifest-xconnect@9", expected "service-manifest-xconnect@1" or "service-manifest-xconnect@2": correct "#spec", or update pv-xconnect if the spec is a newer one.',
    ],
    links: [
      'client raw: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'a target of null',
    files: pair(RAW, { name: 'raw', target: null, type: null, role: null }),
    said: [],
    links: ['client raw'],
  },
  {
    title: 'names on the bus',
    files: {
      'server/services.json': services({ ...OWNER, allow: ['operator'] }),
      'client/run.json': requires({ type: 'dbus', role: 'operator', names: ['org.example.Foo'] }),
    },
    said: [],
    links: ['client system-bus'],
  },
  {
    title: 'a name on the bus misspelt',
    files: {
      'server/services.json': services(OWNER),
      'client/run.json': requires({ type: 'dbus', names: [{ name: 'org.example.Fo' }] }),
    },
    said: [
      'error client/run.json:/services/required/0: found no container that owns "org.example.Fo" on the system-bus, expected one (did you mean "org.example.Foo"?): add a container that owns the name, or make the requirement optional.',
    ],
    links: [
      'client system-bus: manifest-invalid: client/run.json:/services/required/0 needs org.example.Fo, which no container owns.',
    ],
  },
  {
    title: 'a name on the bus whose entry is refused',
    files: {
      'server/services.json': services({ ...OWNER, policy: 'dbus/foo.xml' }),
      'client/run.json': requires({ names: ['org.example.Foo'] }, 'system-bus'),
    },
    said: [
      'error server/services.json:/services/0/policy: found "dbus/foo.xml", expected an object, rules by role: write the policy as docs/manifests.md shows.',
    ],
    links: [
      'client system-bus',
      'client system-bus: manifest-invalid: client/run.json:/services/required/0 needs org.example.Foo, and server/services.json:/services/0 is not served.',
    ],
  },
  {
    title: 'callers that are narrowed',
    files: {
      'server/services.json': services({
        ...OWNER,
        allow: [{ role: 'operator', interfaces: ['org.example.Foo'], members: ['Get'] }],
      }),
      'client/run.json': requires({ name: 'system-bus', role: 'operator' }),
    },
    said: [],
    links: ['client system-bus'],
  },
  {
    title: 'callers that nobody narrows',
    files: pair({ ...API, allow: [{ role: 'any', paths: ['/a'] }] }, 'api'),
    said: [
      'error server/services.json:/services/0/allow/0: found "interfaces", "members" or "paths" without "owns", where nobody keeps them, expected a role alone, or a "policy": remove it, or write what is kept there; until then its entry is not served.',
    ],
    links: [
      'client api: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'uids of roles',
    files: {
      'server/services.json': { ...services(RAW), roles: { any: { uid: 0 } } },
      'client/run.json': requires('raw'),
    },
    said: [
      'notice server/services.json:/roles: found "roles", which gives roles uids of the owner\'s choice, expected roles to have uids of their own: remove it: it is ignored.',
    ],
    links: ['client raw'],
  },
];

it.each([...FIELD_MISTAKES, ...MISTAKES])('$title', async ({ files, said, links }) => {
  const revision = await readRevision(await writeFiles(files));
  const graph = buildGraph(revision, new Map(), unhosted(revision));
  const problems = [...revision.problems, ...graph.problems];
  expect(problems.map((one) => `${one.severity} ${placeText(one)}: ${one.message}`)).toEqual(said);
  const shown = graph.links.map(({ consumer, name, error }) => {
    return `${consumer} ${name}${error ? `: ${error.code}: ${error.message}` : ''}`;
  });
  expect(shown).toEqual(links);
});
