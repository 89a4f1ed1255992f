/**
 * What the fields of a link may hold: a schema for each, and the types that follow. They bound what a manifest says and
 * what a foreign graph says in the same way.
 */
import { type ErrorCode, REMEDIES } from '../kernel/errors.js';
import { MAX_CONNECTIONS, MAX_ENTRIES, MAX_STRING } from './limits.js';
import type { EntryField } from './link-fields.js';
import {
  flag,
  list,
  map,
  number,
  object,
  oneOf,
  type Schema,
  type Static,
  text,
  whole,
} from './schema.js';
import { HTTP_TYPES, SERVICE_TYPES } from './vocabulary.js';

const MAX_INT32 = 0x7fff_ffff;
/** (uid_t)-1 means "no change" to chown(2) and its kin, and is nobody's. */
export const MAX_UID = 0xffff_fffe;

/** Of the ten fields that every runtime has: what a foreign one calls its containers is its own affair. */
export const TEXT = text(`a string of at most ${MAX_STRING} characters without NUL`, {
  maxLength: MAX_STRING,
  format: 'possible',
});
export const WORD = text(`a string of 1 to ${MAX_STRING} characters without NUL`, {
  minLength: 1,
  maxLength: MAX_STRING,
  format: 'possible',
});
export const PID = whole('a pid, 0 where none runs', -MAX_INT32, MAX_INT32);

export const TYPE: Schema<string> = {
  ...oneOf(SERVICE_TYPES),
  problem: 'type-unknown',
};

export const BUS_NAME = text(
  'a D-Bus name such as org.example.Foo',
  { format: 'bus-name' },
  'name-invalid',
);

const NAME_PATTERN = text(
  'a bus name, "org.example.*" or "*"',
  { format: 'name-pattern' },
  'policy-invalid',
);
const MEMBER_RULE = text(
  'a rule such as "org.example.Admin.Status@/org/example/*"',
  { format: 'member-rule' },
  'policy-invalid',
);
/** `most` entries in each list, and names in each object. */
export function policy(most: number) {
  const names = list(NAME_PATTERN, 'an array of bus names', { maxItems: most }, 'policy-invalid');
  const rules = map(
    list(MEMBER_RULE, 'an array of rules', { maxItems: most }, 'policy-invalid'),
    'an object, arrays of rules by bus name',
    { maxProperties: most, propertyNames: NAME_PATTERN },
    'policy-invalid',
  );
  return object(
    'an object with "see", "talk", "own", "call" and "broadcast" only',
    { see: names, talk: names, own: names, call: rules, broadcast: rules },
    { additionalProperties: false },
    'policy-invalid',
  );
}
/** Of one role in a manifest. */
export const POLICY = policy(MAX_ENTRIES);
/** What a role may do on a bus. */
export type PolicyRules = Static<typeof POLICY>;

export const httpRules = (maxItems: number) =>
  list(
    text('a rule such as "GET /path/**"', { maxLength: 1024, format: 'http-rule' }),
    `an array of at most ${maxItems} rules`,
    { maxItems },
  );

/** drm_connector_enum_list of the kernel, and the number within the type. */
export const CONNECTOR = text('a connector such as "HDMI-A-1"', {
  pattern: '^[A-Za-z]{2,10}(-[A-Z])?-[1-9][0-9]{0,2}$',
});

const INPUT_TEXT = text('a text, as /sys/class/input has it', {
  minLength: 1,
  maxLength: 255,
  format: 'clean',
});
const USB_NUMBER = text('four hexadecimal digits, as lsusb shows them', {
  pattern: '^[0-9A-Fa-f]{4}$',
});
export const INPUT_MATCH = object(
  'an object with "name", "phys", "vendor" or "product"',
  { name: INPUT_TEXT, phys: INPUT_TEXT, vendor: USB_NUMBER, product: USB_NUMBER },
  { minProperties: 1, additionalProperties: false },
);
/** An input device by what the kernel says of it in sysfs; what is absent may be anything. */
export type InputMatch = Static<typeof INPUT_MATCH>;

const SECONDS = number('a number of seconds from 0.1 to 86400', 0.1, 86_400);
const FILE = text('the name of a file in the folder of certificates, such as "site/cert.pem"', {
  maxLength: 255,
  pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$',
});
const TLS = object(
  'an object with "cert" and "key" only',
  { cert: FILE, key: FILE },
  { required: ['cert', 'key'], additionalProperties: false },
);
const HEALTH = object(
  'an object with a "path", and perhaps "interval" and "timeout"',
  {
    path: text('a path such as "/health"', { maxLength: 1024, pattern: '^/[!"$-~]*$' }),
    interval: SECONDS,
    timeout: SECONDS,
  },
  { required: ['path'], additionalProperties: false },
);
const LIMITS = object(
  'an object of limits, as docs/rest.md has them',
  {
    /** Bytes of a head. */
    head: whole('a number of bytes from 256 to 65536', 256, 65_536),
    /** Fields of a head. */
    headers: whole('a number of headers from 1 to 1000', 1, 1000),
    /** Of one address or socket, at once. */
    connections: whole('a number of connections from 1 to 65535', 1, MAX_CONNECTIONS),
    /** Of HTTP/2, of one address, at once. */
    streams: whole('a number of streams from 1 to 65535', 1, MAX_CONNECTIONS),
    /** For a head to come. */
    head_timeout: SECONDS,
    /** That a client is waited for. */
    idle_timeout: SECONDS,
    /** For the head of an answer. */
    answer_timeout: SECONDS,
    /** Without a byte within an answer. */
    silence_timeout: SECONDS,
  },
  { additionalProperties: false },
);
export type HttpLimits = Static<typeof LIMITS>;

/** How HTTP is served: members of a link's `http`, and fields of a requirement. */
export const HTTP_FIELDS = {
  strip_prefix: {
    schema: flag,
    types: HTTP_TYPES,
    for: '`http`',
    default: '`true`',
    meaning: 'the prefix of the target is taken from the path',
  },
  tls: {
    schema: TLS,
    types: HTTP_TYPES,
    guard: true,
    for: 'ingress of type `http`',
    default: 'none',
    meaning:
      '`{"cert": "site/cert.pem", "key": "site/key.pem"}`, files of the folder of certificates, see [ingress.md](ingress.md)',
  },
  health: {
    schema: HEALTH,
    types: HTTP_TYPES,
    for: '`http`',
    default: 'none',
    meaning: '`{"path": "/health", "interval": 10, "timeout": 2}`, in seconds',
  },
  limits: {
    schema: LIMITS,
    types: HTTP_TYPES,
    default: 'see [rest.md](rest.md)',
    meaning: Object.keys(LIMITS.properties as object)
      .map((limit) => `\`${limit}\``)
      .join(', '),
  },
  access_log: {
    schema: flag,
    types: HTTP_TYPES,
    default: '`false`',
    meaning: "one line of JSON a request in the daemon's log",
  },
  via: {
    schema: flag,
    types: HTTP_TYPES,
    default: '`true`',
    meaning: 'the provider is told of the proxy by a `Via` header (RFC 9110, 7.6.3)',
  },
} satisfies Readonly<Record<string, EntryField>>;

export type HttpOptions = {
  readonly [K in keyof typeof HTTP_FIELDS]?: Static<(typeof HTTP_FIELDS)[K]['schema']>;
};

export const HTTP = object(
  `an object with ${Object.keys(HTTP_FIELDS).join(', ')} only`,
  Object.fromEntries(Object.entries(HTTP_FIELDS).map(([key, { schema }]) => [key, schema])),
  { additionalProperties: false },
) as Schema<HttpOptions>;

const CODES = Object.keys(REMEDIES) as ErrorCode[];
/** How a container ended last, as the runtime has seen it. */
export const CONTAINER_END = object(
  'an object with "how", and "times"',
  {
    how: text(`how it ended, at most ${MAX_STRING} characters`, {
      minLength: 1,
      maxLength: MAX_STRING,
    }),
    times: whole('how often it has ended', 1, MAX_INT32),
    log: TEXT,
  },
  { required: ['how', 'times'] },
);
export type ContainerEnd = Static<typeof CONTAINER_END>;

export const ERROR = object(
  'an object with a known "code" and a "message"',
  {
    code: oneOf(CODES, 'a known code'),
    message: text(`at most ${MAX_STRING} characters`, { maxLength: MAX_STRING }),
  },
  { required: ['code', 'message'] },
);
