/** Fields that are misspelt, or stand where nobody keeps them; mistakes.test.ts has the rest. */
import { type Files, requires, services } from './scratch.js';

export const RAW = { name: 'raw', type: 'unix', socket: '/run/raw.sock' };
export const API = { name: 'api', type: 'rest', socket: '/run/api.sock' };
export const BUS = { name: 'bus', type: 'dbus', socket: '/run/bus.sock' };
export const WEB = { name: 'web', type: 'http', port: 80 };
export const OWNER = { type: 'dbus', owns: 'org.example.Foo', role: 'foo' };

/** A provider of one service, and a consumer of it. */
export function pair(service: unknown, requirement: unknown = 'raw'): Files {
  return { 'server/services.json': services(service), 'client/run.json': requires(requirement) };
}

/** A good pair, and the device beside it. */
function device(value: object): Files {
  return { ...pair(RAW), 'device.json': value };
}

const RULE = { type: 'tcp', external: '0.0.0.0:80', service: 'raw' };

export interface Mistake {
  readonly title: string;
  readonly files: Files;
  /** `severity place: message`. */
  readonly said: readonly string[];
  /** `consumer name`, and why it is failed. */
  readonly links: readonly string[];
}

export const FIELD_MISTAKES: readonly Mistake[] = [
  {
    title: 'allow misspelt',
    files: pair({ ...RAW, alow: ['operator'] }),
    said: [
      'error server/services.json:/services/0/alow: found the unknown field "alow", expected "allow": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [
      'client raw: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'allow with a capital',
    files: pair({ ...RAW, Allow: ['operator'] }),
    said: [
      'error server/services.json:/services/0/Allow: found the unknown field "Allow", expected "allow": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [
      'client raw: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'a word of access that nobody has',
    files: pair({ ...RAW, deniedRoles: ['guest'] }),
    said: [
      'error server/services.json:/services/0/deniedRoles: found the unknown field "deniedRoles", expected one of policy, policy_mode, access, lease, match, proxy_protocol, rules, allow, owns, role: correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [
      'client raw: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'policy misspelt',
    files: pair({ ...BUS, polcy: { any: {} } }, 'bus'),
    said: [
      'error server/services.json:/services/0/polcy: found the unknown field "polcy", expected "policy": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [
      'client bus: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'rules misspelt',
    files: pair({ ...API, ruls: { any: ['GET /'] } }, 'api'),
    said: [
      'error server/services.json:/services/0/ruls: found the unknown field "ruls", expected "rules": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [
      'client api: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'lease misspelt',
    files: pair(
      { name: 'card', type: 'drm', socket: '/dev/dri/card0', leases: ['DP-1'] },
      { name: 'card', mode: 'fd' },
    ),
    said: [
      'error server/services.json:/services/0/leases: found the unknown field "leases", expected "lease": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [
      'client card: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'owns misspelt',
    files: pair({ ...OWNER, owns: undefined, own: 'org.example.Foo' }, 'system-bus'),
    said: [
      'error server/services.json:/services/0/own: found the unknown field "own", expected "owns": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: ['client system-bus'],
  },
  {
    title: 'socket misspelt',
    files: pair({ ...RAW, socket: undefined, sokcet: '/run/raw.sock' }),
    said: [
      'notice server/services.json:/services/0/sokcet: found the unknown field "sokcet", expected "socket": correct it, or remove it: it is ignored.',
      'error server/services.json:/services/0: found no "socket", expected "socket", an absolute path: give the value that is expected there.',
    ],
    links: [
      'client raw: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'a field of somebody else',
    files: pair({ ...RAW, priority: 7, '#note': 'mine', 'x-acme': 1 }),
    said: [
      'notice server/services.json:/services/0/priority: found the unknown field "priority", expected one that is known here: correct it, or remove it: it is ignored.',
    ],
    links: ['client raw'],
  },
  {
    title: 'allow beside the list',
    files: {
      'server/services.json': { ...services(RAW), allow: ['operator'] },
      'client/run.json': requires('raw'),
    },
    said: [
      'error server/services.json:/allow: found the unknown field "allow", expected it in an entry of "services": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [
      'client raw: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'a policy that nobody would keep',
    files: pair({ ...API, policy: { any: {} } }, 'api'),
    said: [
      'error server/services.json:/services/0/policy: found "policy" on type rest, which does not keep it, expected it on dbus only: remove it, or write what is kept there; until then its entry is not served.',
    ],
    links: [
      'client api: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'a role that limits nothing',
    files: pair({ ...BUS, role: 'operator' }, 'bus'),
    said: [
      'error server/services.json:/services/0/role: found "role" without "owns", which limits nothing, expected "allow" for those who may consume it: remove it, or write what is kept there; until then its entry is not served.',
    ],
    links: [
      'client bus: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'role misspelt',
    files: pair(RAW, { name: 'raw', rol: 'operator' }),
    said: [
      'error client/run.json:/services/required/0/rol: found the unknown field "rol", expected "role": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [
      'client raw: manifest-invalid: client/run.json:/services/required/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'allow in a requirement',
    files: pair(RAW, { name: 'raw', allow: ['operator'] }),
    said: [
      'error client/run.json:/services/required/0/allow: found the unknown field "allow", expected it in the services.json of the provider: correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [
      'client raw: manifest-invalid: client/run.json:/services/required/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'allow_from in another spelling',
    files: pair(WEB, {
      ...{ name: 'web', target: '127.0.0.1:80' },
      allowFrom: ['10.0.0.0/8'],
    }),
    said: [
      'error client/run.json:/services/required/0/allowFrom: found the unknown field "allowFrom", expected "allow_from": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [
      'client web: manifest-invalid: client/run.json:/services/required/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'tls misspelt',
    files: {
      ...pair(RAW),
      'device.json': { ingress: [{ ...RULE, type: 'http', tsl: { cert: 'a.pem', key: 'a.key' } }] },
    },
    said: [
      'error device.json:/ingress/0/tsl: found the unknown field "tsl", expected "tls": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [
      'client raw',
      'EXTERNAL raw: manifest-invalid: device.json:/ingress/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'required misspelt',
    files: {
      'server/services.json': services(RAW),
      'client/run.json': { services: { requried: ['raw'] } },
    },
    said: [
      'error client/run.json:/services/requried: found the unknown field "requried", expected "required": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [],
  },
  {
    title: 'services misspelt',
    files: {
      'server/services.json': services(RAW),
      'client/run.json': { servces: { required: ['raw'] } },
    },
    said: [
      'error client/run.json:/servces: found the unknown field "servces", expected "services": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [],
  },
  {
    title: 'PV_SERVICES_REQUIRED misspelt',
    files: {
      'server/services.json': services(RAW),
      'client/args.json': { PV_SERVICE_REQUIRED: ['raw'] },
    },
    said: [
      'error client/args.json:/PV_SERVICE_REQUIRED: found the unknown field "PV_SERVICE_REQUIRED", expected "PV_SERVICES_REQUIRED": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: [],
  },
  {
    title: 'ingress misspelt',
    files: device({ ingres: [RULE] }),
    said: [
      'error device.json:/ingres: found the unknown field "ingres", expected "ingress": correct it; until then neither it nor what it may have limited is served.',
    ],
    links: ['client raw'],
  },
  {
    title: 'pools misspelt',
    files: device({ network: { pool: {} } }),
    said: [
      'notice device.json:/network/pool: found the unknown field "pool", expected "pools": correct it, or remove it: it is ignored.',
    ],
    links: ['client raw'],
  },
  {
    title: 'a field of a pool misspelt',
    files: device({
      network: { pools: { p: { type: 'bridge', brigde: 'br0' } } },
    }),
    said: [
      'notice device.json:/network/pools/p/brigde: found the unknown field "brigde", expected "bridge": correct it, or remove it: it is ignored.',
    ],
    links: ['client raw'],
  },
  {
    title: 'a field of a group misspelt',
    files: device({ groups: [{ name: 'app', restart_polici: 'system' }] }),
    said: [
      'notice device.json:/groups/0/restart_polici: found the unknown field "restart_polici", expected "restart_policy": correct it, or remove it: it is ignored.',
    ],
    links: ['client raw'],
  },
  {
    title: 'a key of a policy misspelt',
    files: pair({ ...BUS, policy: { any: { tlak: [] } } }, 'bus'),
    said: [
      'error server/services.json:/services/0/policy/any/tlak: found the key "tlak", expected an object with "see", "talk", "own", "call" and "broadcast" only (did you mean "talk"?): write the policy as docs/manifests.md shows.',
    ],
    links: [
      'client bus: manifest-invalid: server/services.json:/services/0 is not served, as something in it is wrong.',
    ],
  },
  {
    title: 'an inner field of HTTP misspelt',
    files: pair(API, { name: 'api', health: { path: '/', intervall: 5 } }),
    said: [
      'error client/run.json:/services/required/0/health/intervall: found the key "intervall", expected an object with a "path", and perhaps "interval" and "timeout" (did you mean "interval"?): give the value that is expected there.',
    ],
    links: [
      'client api: manifest-invalid: client/run.json:/services/required/0 is not served, as something in it is wrong.',
    ],
  },
];
