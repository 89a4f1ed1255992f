/**
 * The containers of the soak: a ring, in which each one serves its successor's wishes and uses its predecessor's
 * services, every other one on the other engine, so that each link joins two engines. Together they have links of every
 * kind, and the hosted bus.
 */
import { readFileSync } from 'node:fs';
import { CONFIG } from '../dbus/support.js';
import type { Containers, RevisionContainer } from '../engines/revision.js';
import { NODE } from '../http/providers.js';

const source = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const FILES = {
  'compositor.py': source('../wayland/compositor.py'),
  'peer.py': source('../unix/peer.py'),
  'resident.py': source('./resident.py'),
  'traffic.py': source('../supervision/traffic.py'),
};

/** How one kind of link is served and used. */
interface Kind {
  /** Entry of services.json beside its name. */
  readonly service: object;
  /** Of the requirement, beside its name and provider. */
  readonly required?: object;
  readonly target: string;
  readonly prepare?: string;
  /** The program that serves; absent: nothing has to run. */
  readonly serve?: readonly string[];
  /** The word of traffic.py; absent: it has no traffic. */
  readonly traffic?: string;
}

const at = (name: string) => `/run/pv/services/${name}.sock`;
const socket = (name: string) => `/run/example/${name}.sock`;
const python = (file: string, ...args: string[]) => ['/usr/bin/python3', `/app/${file}`, ...args];
const echo = (name: string, mode: string, service = {}): Kind => ({
  service: { type: 'unix', socket: socket(name), mode, ...service },
  target: at(name),
  serve: python('peer.py', 'serve-echo', socket(name), mode),
  traffic: mode,
});

/** By the name of the service. */
const KINDS: Readonly<Record<string, Kind>> = {
  stream: echo('stream', 'stream'),
  seqpacket: echo('seqpacket', 'seqpacket'),
  dgram: echo('dgram', 'dgram'),
  tcp: {
    service: { type: 'tcp', port: 4000 },
    target: '127.0.0.1:4100',
    serve: python('peer.py', 'serve-echo', '0.0.0.0:4000'),
    traffic: 'tcp',
  },
  rest: {
    service: { type: 'rest', socket: socket('rest') },
    target: at('rest'),
    serve: ['node', '-e', NODE, socket('rest'), 'here'],
    traffic: 'http',
  },
  http: {
    service: { type: 'http', port: 4001 },
    target: '127.0.0.1:4101',
    serve: ['node', '-e', NODE, '0.0.0.0:4001', 'here'],
    traffic: 'http',
  },
  bus: {
    service: { type: 'dbus', socket: socket('bus') },
    target: at('bus'),
    prepare: `printf '%s' '${CONFIG.replaceAll('/run/example/bus.sock', socket('bus'))}' > /run/bus.conf`,
    serve: ['dbus-daemon', '--config-file=/run/bus.conf', '--nofork'],
    traffic: 'bus',
  },
  display: {
    service: { type: 'wayland', socket: socket('display') },
    target: '/run/wayland-0',
    serve: python('compositor.py', socket('display'), 'context'),
    traffic: 'wayland',
  },
  keys: {
    service: { type: 'input', socket: '/dev/keys' },
    required: { mode: 'fd' },
    target: '/run/keys.sock',
    prepare: 'mknod -m 666 /dev/keys c 1 5',
    traffic: 'device',
  },
  card: {
    service: { type: 'drm', socket: '/dev/dri/card0' },
    target: '/dev/dri/card0',
    prepare: 'mkdir -p /dev/dri; mknod -m 666 /dev/dri/card0 c 226 0',
  },
};
const NAMES = Object.keys(KINDS);
/** Of the pool that every third container is in. */
export const BRIDGE = 'pvxt-soak';
const SUBNET = '10.214.20.0/24';
/** How names of its interfaces on the host begin: `pv` and the subnet in hexadecimal. */
export const PORT_PREFIX = 'pv0ad614';
const BUS = '/run/dbus/system_bus_socket';
const RECOVERY = { policy: 'always', retry_delay: 0, reset_window: 3, backoff_policy: 'never' };

export interface Town {
  readonly containers: Containers;
  readonly names: readonly string[];
  /** With traffic. */
  readonly services: readonly string[];
  readonly device: object;
}

export function townOf(count: number): Town {
  const names = Array.from({ length: count }, (_, i) => `${i % 2 === 0 ? 'ns' : 'lxc'}-${i}`);
  const each = Math.max(2, Math.ceil(NAMES.length / count));
  const served = (i: number) =>
    Array.from({ length: each }, (_, k) => NAMES[(i * each + k) % NAMES.length] as string);
  const containers = names.map((name, i): [string, RevisionContainer] => {
    const next = (i + 1) % count;
    return [name, resident(served(i), served(next), names[next] as string, i)];
  });
  const pool = { type: 'bridge', bridge: BRIDGE, subnet: SUBNET, nat: true };
  return {
    containers: Object.fromEntries(containers),
    names,
    services: [...NAMES.filter((name) => KINDS[name]?.traffic), 'system-bus'],
    device: { network: { pools: { town: pool } } },
  };
}

function resident(
  served: readonly string[],
  used: readonly string[],
  provider: string,
  index: number,
): RevisionContainer {
  const kind = (name: string) => KINDS[name] as Kind;
  const isOwner = index === 0;
  const hosted = { name: 'system-bus', role: isOwner ? 'owner' : 'guest', target: BUS };
  const owned = { type: 'dbus', owns: 'org.example.Owner', role: 'owner', allow: ['guest'] };
  const uses = used.flatMap((name) => {
    const { target, traffic } = kind(name);
    return traffic ? [[name, traffic, target]] : [];
  });
  const isOnBus = index % 4 === 0;
  const plan = {
    of: index, // no two containers have the same image, nor the same loop device
    prepare: ['mkdir -p /run/example', ...served.flatMap((name) => kind(name).prepare ?? [])],
    serve: served.flatMap((name) => {
      const { serve } = kind(name);
      return serve ? [serve] : [];
    }),
    use: [...uses, ...(isOnBus ? [['system-bus', 'bus', BUS]] : [])],
  };
  return {
    engine: index % 2 === 0 ? 'namespace' : 'lxc',
    files: { ...FILES, 'plan.json': JSON.stringify(plan) },
    exec: ['env', 'PAUSE_S=0.5', 'LIMIT_S=120', 'PYTHONUNBUFFERED=1', ...python('resident.py')],
    run: {
      auto_recovery: RECOVERY,
      network: index % 3 === 0 ? { pool: 'town' } : { mode: 'none' },
    },
    services: [
      ...served.map((name) => ({ name, ...kind(name).service })),
      ...(isOwner ? [owned] : []),
    ],
    required: [
      ...used.map((name) => ({
        name,
        provider,
        target: kind(name).target,
        ...kind(name).required,
      })),
      ...(isOnBus ? [hosted] : []),
    ],
  };
}
