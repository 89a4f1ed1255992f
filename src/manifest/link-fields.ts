/**
 * The fields of a link: the one place that describes them.
 *
 * Derived from this table: how a link is read from a graph and written to one, which links are the same and what is to
 * be done about those that are not, what a manifest may say on either side, the notices on a field that means nothing
 * where it stands or is misspelt, and the tables of docs/manifests.md and docs/control-socket.md. A field that `Link`
 * has and the table lacks does not compile. A row that has a `service` or `requirement` side is copied to the link from
 * there; whatever else a link's field comes from is in graph/link-maker.ts.
 */
import type { Link } from '../graph/link.js';
import {
  MAX_CONNECTIONS,
  MAX_ENTRIES,
  MAX_LEASED,
  MAX_NETWORKS,
  MAX_RULES,
  MAX_STRING,
} from './limits.js';
import {
  BUS_NAME,
  CONNECTOR,
  CONTAINER_END,
  ERROR,
  HTTP,
  httpRules,
  INPUT_MATCH,
  MAX_UID,
  PID,
  POLICY,
  policy,
  TEXT,
  TYPE,
  WORD,
} from './link-values.js';
import { flag, list, map, name, oneOf, type Schema, text, whole } from './schema.js';
import { DEVICES, HTTP_TYPES, NETWORKED, SERVICE_TYPES, type ServiceType } from './vocabulary.js';

/**
 * What is done about an attached link of which this changed, the mildest first: nothing; its connections go to another
 * provider; it is attached anew, and its connections have their drain time; the same, and they are closed at once, for
 * whoever is connected may be so no longer.
 */
export const CHANGES = ['nothing', 'retarget', 'reattach', 'revoke'] as const;
export type Change = (typeof CHANGES)[number];

/**
 * How two values of a field differ in what they let somebody do (graph/rights.ts compares them): not at all; by the
 * parts that each has, where absence is everything; or by their order, least access first.
 */
export type AccessKind = 'none' | 'policy' | 'http-rules' | 'networks' | 'set' | 'http';
export type Access = AccessKind | { readonly order: readonly unknown[] };

/** What an entry of a manifest may say. */
export interface EntryField {
  readonly schema: Schema;
  /** Types of entry that it means something for. Absent: all. */
  readonly types?: readonly string[];
  /** For whom, where the types alone do not say it. For the documentation, as are the next two. */
  readonly for?: string;
  readonly default?: string;
  readonly meaning: string;
  /** Another name for the same. */
  readonly alias?: string;
  /** It limits who may do what: without it more would be possible. */
  readonly guard?: true;
}

/** Where a manifest says what a link's field is. What is absent is as in the row. */
interface Side extends Partial<EntryField> {
  /** As the entry has it; absent: as the graph has it. */
  readonly name?: string;
  readonly meaning: string;
}

export interface LinkField<T> {
  /** As a graph has it. */
  readonly wire: string;
  readonly schema: Schema<T>;
  /** A graph has to have it, and not empty; `unless-failed`: but for a link that says why it can't be made. */
  readonly needed?: 'always' | 'unless-failed';
  /** What its absence means, where that is a value. */
  readonly absent?: T;
  /** Types of link that it means something for. Absent: all. */
  readonly types?: readonly ServiceType[];
  readonly onChange: Change;
  /** Absent: another value takes one access away and gives another, so that a new field counts. */
  readonly access?: Access;
  /** It follows from what runs: two revisions do not differ in it. */
  readonly live?: true;
  readonly service?: Side;
  /** And of an ingress rule. */
  readonly requirement?: Side;
}

/** In the order in which a graph has them; the first ten are fixed, as every runtime writes them. */
export const LINK_FIELDS = {
  consumer: { wire: 'consumer', schema: WORD, needed: 'always', onChange: 'reattach' },
  consumerPid: {
    wire: 'consumer_pid',
    schema: PID,
    needed: 'always',
    onChange: 'reattach',
    live: true,
  },
  provider: {
    wire: 'provider',
    schema: WORD,
    needed: 'unless-failed',
    onChange: 'reattach',
    requirement: {
      schema: name('the name of a container'),
      guard: true,
      default: 'the only exporter',
      meaning: 'which container, where several export the name',
    },
  },
  providerPid: {
    wire: 'provider_pid',
    schema: PID,
    needed: 'always',
    onChange: 'retarget',
    live: true,
  },
  name: {
    wire: 'name',
    schema: WORD,
    needed: 'always',
    onChange: 'reattach',
    service: {
      schema: name('a name'),
      for: 'all but owners of bus names',
      default: 'required',
      meaning:
        'unique in its container; 1 to 255 characters without slashes and control characters',
    },
    requirement: {
      schema: name('the name of a service'),
      alias: 'service',
      default: 'required, but with `names`',
      meaning: 'the service to find',
    },
  },
  type: {
    wire: 'type',
    schema: WORD,
    needed: 'unless-failed',
    onChange: 'reattach',
    service: {
      schema: TYPE,
      default: 'required',
      meaning: `${SERVICE_TYPES.map((type) => `\`${type}\``).join(' ')}, or one of a [plugin](plugins.md)`,
    },
    requirement: {
      schema: TYPE,
      default: "the provider's",
      meaning: 'as what it is consumed, see the table below',
    },
  },
  role: {
    wire: 'role',
    schema: TEXT,
    absent: 'any',
    onChange: 'revoke',
    requirement: {
      schema: name('a role'),
      guard: true,
      default: '`any`',
      meaning: 'the identity that the consumer has on this link',
    },
  },
  interface: {
    wire: 'interface',
    schema: TEXT,
    onChange: 'reattach',
    access: 'none',
    requirement: {
      schema: text('the name of an interface', {
        minLength: 1,
        maxLength: MAX_STRING,
        format: 'clean',
      }),
      default: 'the type',
      meaning: 'what is spoken; a [plugin](plugins.md) may be chosen by it',
    },
  },
  target: {
    wire: 'target',
    schema: TEXT,
    onChange: 'reattach',
    requirement: {
      schema: text(
        'a path, or IP:PORT[/PREFIX]',
        { minLength: 1, maxLength: MAX_STRING },
        'path-invalid',
      ),
      alias: 'external',
      default:
        "`/run/pv/services/<name>.sock` (at most 107 bytes where it is a socket: nobody can connect to a longer one); for `drm` and `input` the provider's own path; for `wayland` `/run/wayland-0`; for `tcp` and `http` required",
      meaning:
        'an absolute path without `..` inside the consumer, or `IP:PORT`, for `http` with `/PREFIX`; an IPv6 address in brackets',
    },
  },
  socket: {
    wire: 'socket',
    schema: WORD,
    needed: 'unless-failed',
    onChange: 'reattach',
    service: {
      schema: text('an absolute path without ".."', { format: 'path' }, 'path-invalid'),
      for: 'all but `tcp`/`http` with a port',
      default: 'required; with `match` `/dev/input/<name>`',
      meaning:
        'absolute path without `..` inside the provider: a socket, or a device node for `drm` and `input`',
    },
  },
  transport: {
    wire: 'transport',
    schema: oneOf(['unix', 'tcp']),
    onChange: 'reattach',
    access: 'none',
  },
  uid: {
    wire: 'uid',
    schema: whole(`a uid from 0 to ${MAX_UID}`, 0, MAX_UID),
    onChange: 'revoke',
    live: true,
  },
  policy: {
    wire: 'policy',
    schema: policy(2 * MAX_ENTRIES), // a role's own, and those of every role
    types: ['dbus'],
    onChange: 'revoke',
    access: 'policy',
    service: {
      schema: map(
        POLICY,
        'an object, rules by role',
        { maxProperties: MAX_ENTRIES },
        'policy-invalid',
      ),
      guard: true,
      for: '`dbus` with a `socket`',
      default: 'none',
      meaning: 'message rules by role, see below; a name on the hosted bus has `allow`',
    },
  },
  policyMode: {
    wire: 'policy_mode',
    schema: oneOf(['enforce', 'audit']),
    absent: 'enforce',
    types: ['dbus'],
    onChange: 'revoke',
    access: 'none', // in audit mode the policy counts as absent
    service: {
      guard: true,
      default: '`enforce`',
      meaning: '`audit`: what the policy refuses passes, and is logged',
    },
  },
  activates: {
    wire: 'activates',
    schema: list(BUS_NAME, `an array of at most ${MAX_ENTRIES} bus names`, {
      maxItems: MAX_ENTRIES,
    }),
    types: ['dbus'],
    onChange: 'retarget',
    access: 'set',
  },
  mode: {
    wire: 'mode',
    schema: oneOf(['stream', 'seqpacket', 'dgram']),
    absent: 'stream',
    types: ['unix'],
    onChange: 'reattach',
    access: 'none',
    service: {
      default: '`stream`',
      meaning: '`stream`, `seqpacket` or `dgram`; the last two can be consumed as `unix` only',
    },
  },
  fds: {
    wire: 'fds',
    schema: flag,
    absent: true,
    types: ['unix'],
    onChange: 'reattach',
    access: { order: [false, true] },
    service: {
      default: '`true`',
      meaning:
        '`false`: file descriptors are never sent, which makes bulk transfer faster; one that is sent is dropped',
    },
  },
  device: {
    wire: 'device',
    schema: oneOf(['node', 'fd']),
    absent: 'node',
    types: DEVICES,
    onChange: 'reattach',
    access: { order: ['fd', 'node'] },
    requirement: {
      name: 'mode',
      default: '`node`',
      meaning: '`node` plants a device node, `fd` serves opened descriptors on a socket',
    },
  },
  access: {
    wire: 'access',
    schema: oneOf(['ro', 'rw']),
    absent: 'rw',
    types: DEVICES,
    onChange: 'reattach',
    access: { order: ['ro', 'rw'] },
    service: {
      guard: true,
      default: '`rw`',
      meaning:
        '`rw` or `ro`: how the device is opened for a client; `ro` can be consumed with `"mode": "fd"` only',
    },
  },
  lease: {
    wire: 'lease',
    schema: list(CONNECTOR, `an array of 1 to ${MAX_LEASED} connectors, each once`, {
      minItems: 1,
      maxItems: MAX_LEASED,
      uniqueItems: true,
    }),
    types: ['drm'],
    onChange: 'reattach',
    access: 'set',
    service: {
      guard: true,
      meaning:
        '1 to 32 connectors such as `HDMI-A-1`: a lease of them is handed out, in place of the card; with `"mode": "fd"` only',
    },
  },
  match: {
    wire: 'match',
    schema: INPUT_MATCH,
    types: ['input'],
    onChange: 'reattach',
    service: {
      guard: true,
      meaning:
        '`name`, `phys`, `vendor`, `product`: the device that is meant, whichever number it has; see [devices.md](devices.md)',
    },
  },
  host: {
    wire: 'host',
    schema: text('a host name', {
      // RFC 1123 host names, and *.example.org.
      pattern: '^(?=.{1,253}$)(\\*\\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$',
    }),
    types: ['http'],
    onChange: 'reattach',
    access: 'set',
    requirement: { guard: true, default: 'any', meaning: 'the Host that it answers to' },
  },
  proxyProtocol: {
    wire: 'proxy_protocol',
    schema: oneOf([1, 2]),
    types: ['unix', 'rest', 'tcp', 'http'],
    onChange: 'reattach',
    access: 'none',
    service: {
      guard: true,
      default: 'none',
      meaning:
        '`1` or `2`: it reads a header of the PROXY protocol of that version first, see [tcp.md](tcp.md)',
    },
    requirement: {
      guard: true,
      default: "the service's",
      meaning: 'as of a service, for one that does not say so itself',
    },
  },
  maxConnections: {
    wire: 'max_connections',
    schema: whole(`a whole number from 1 to ${MAX_CONNECTIONS}`, 1, MAX_CONNECTIONS),
    types: NETWORKED,
    onChange: 'reattach',
    access: 'none',
    requirement: {
      default: 'as many as the daemon allows',
      meaning: 'connections at once, 1 to 65535; more of them wait',
    },
  },
  allowFrom: {
    wire: 'allow_from',
    schema: list(
      text(
        'a network such as 10.0.3.0/24, or an IP address',
        { format: 'network' },
        'address-invalid',
      ),
      `an array of at most ${MAX_NETWORKS} networks`,
      { maxItems: MAX_NETWORKS },
    ),
    types: NETWORKED,
    onChange: 'revoke',
    access: 'networks',
    requirement: {
      guard: true,
      default: 'everybody',
      meaning:
        'networks (`10.0.3.0/24`) and addresses that may connect, at most 64; others are closed at once, their requests answered with 403 on `http`. An empty list allows no one',
    },
  },
  rules: {
    wire: 'rules',
    schema: httpRules(2 * MAX_RULES), // a role's own, and those of every role
    types: HTTP_TYPES,
    onChange: 'revoke',
    access: 'http-rules',
    service: {
      schema: map(httpRules(MAX_RULES), 'an object, arrays of rules by role', {
        maxProperties: MAX_ENTRIES,
      }),
      // As another type it is refused, as nobody would keep them there.
      types: ['rest', 'http', 'unix', 'tcp'],
      guard: true,
      default: 'everything',
      meaning:
        'what may be asked over HTTP by role: `{"operator": ["GET /status", "* /admin/**"], "*": []}`, see [rest.md](rest.md)',
    },
  },
  http: { wire: 'http', schema: HTTP, types: HTTP_TYPES, onChange: 'reattach', access: 'http' },
  optional: { wire: 'optional', schema: flag, onChange: 'nothing', access: 'none' },
  consumerEnd: {
    wire: 'consumer_end',
    schema: CONTAINER_END,
    onChange: 'nothing',
    access: 'none',
    live: true,
  },
  /** With a provider that is away, the next end is told by what is said of it then. */
  providerEnd: {
    wire: 'provider_end',
    schema: CONTAINER_END,
    onChange: 'retarget',
    access: 'none',
    live: true,
  },
  /** That it can't be made is looked at before anything else is. */
  error: { wire: 'error', schema: ERROR, onChange: 'nothing', access: 'none' },
} as const satisfies {
  readonly [K in keyof Required<Omit<Link, 'extra'>>]: LinkField<Exclude<Link[K], undefined>>;
};

/** What the daemon reports beside them, see status/: no part of a link. */
export const REPORTED: readonly string[] = [
  ...['state', 'last_error', 'since', 'connections', 'bytes', 'security_context', 'tap', 'fault'],
];

type Rows = typeof LINK_FIELDS;
export type LinkKey = keyof Rows;
/** The same as a list. */
export const ROWS = Object.entries(LINK_FIELDS) as readonly (readonly [
  LinkKey,
  LinkField<unknown>,
])[];

export type SideOf = 'service' | 'requirement';
type SideValue<K extends keyof Rows, S extends SideOf> = Rows[K] extends {
  readonly [P in S]: { readonly schema: Schema<infer T> };
}
  ? T
  : Exclude<Link[K], undefined>;
/** What one side says of a link, by the names of the link's fields. */
export type Said<S extends SideOf> = {
  readonly [K in keyof Rows as Rows[K] extends Readonly<Record<S, Side>> ? K : never]?: SideValue<
    K,
    S
  >;
};
type EntryName<K extends keyof Rows, S extends SideOf> = Rows[K] extends {
  readonly [P in S]: { readonly name: infer N extends string };
}
  ? N
  : Rows[K]['wire'];
/** The same by the names that a manifest has for them. */
export type SaidInManifest<S extends SideOf> = {
  readonly [K in keyof Said<S> & keyof Rows as EntryName<K, S>]?: Said<S>[K];
};

type SideList<S extends SideOf> = readonly (readonly [keyof Said<S>, string, EntryField])[];

/** Of each field of a link that this side says: its name, what a manifest calls it there, and how it is there. */
export function sidesOf<S extends SideOf>(side: S): SideList<S> {
  const list = ROWS.flatMap(([key, { wire, schema, types, [side]: said }]) => {
    if (!said) return [];
    const field: EntryField = { schema, ...(types ? { types } : {}), ...said };
    return [[key, said.name ?? wire, field] as const];
  });
  return list as unknown as SideList<S>;
}
