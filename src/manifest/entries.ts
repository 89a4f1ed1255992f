/**
 * What entries of manifests may have: the fields of link-fields.ts, and those that plugins from outside bring with types
 * of their own. The built-in vocabulary is compiled ahead of time; one with additions is compiled when it is first used.
 */
import { XConnectError } from '../kernel/errors.js';
import { MAX_PORT } from './address.js';
import { MAX_ENTRIES, MAX_NETWORKS, MAX_PARTS } from './limits.js';
import {
  type EntryField,
  REPORTED,
  ROWS,
  type SaidInManifest,
  type SideOf,
  sidesOf,
} from './link-fields.js';
import { BUS_NAME, HTTP_FIELDS } from './link-values.js';
import { show } from './problem.js';
import {
  either,
  list,
  name,
  named,
  object,
  oneOf,
  type Schema,
  type Static,
  text,
  whole,
  whyNoSchema,
} from './schema.js';
import { NETWORKED, SERVICE_TYPES } from './vocabulary.js';

/** A role that may make some calls only, of an entry with `owns`. */
const NARROWED = object(
  'an object with "role", "interfaces", "members" and "paths" only',
  {
    role: name('a role'),
    interfaces: parts('an interface such as "org.example.Foo"', 'interface'),
    members: parts('the name of a method', 'member'),
    paths: parts('an object path such as "/org/example"', 'object-path'),
  },
  { required: ['role'], additionalProperties: false },
  'policy-invalid',
);
export type NarrowedCaller = Static<typeof NARROWED>;

function parts(what: string, format: 'interface' | 'member' | 'object-path') {
  return list(
    text(what, { format }, 'policy-invalid'),
    `an array of 1 to ${MAX_PARTS}, each ${what}`,
    { minItems: 1, maxItems: MAX_PARTS },
    'policy-invalid',
  );
}

/** What else an entry of `services.json` may say, which no link has. */
const OF_SERVICES = {
  port: {
    schema: { ...whole(`a TCP port from 1 to ${MAX_PORT}`, 1, MAX_PORT), problem: 'port-invalid' },
    types: NETWORKED,
    meaning: "TCP port in the provider's own network namespace, 1 to 65535, in place of `socket`",
  },
  allow: {
    schema: list(
      either(
        name('a role, or container:<name>'),
        NARROWED,
        'a role, container:<name>, or an object with a "role"',
      ),
      'an array of roles and container:<name>',
      { maxItems: MAX_ENTRIES },
    ),
    guard: true,
    default: 'everyone',
    meaning:
      'roles, or `container:<name>`; `container:EXTERNAL` is ingress. An empty list allows no one. With `owns` also `{"role", "interfaces", "members", "paths"}`: that role may make the calls that match one of each, at most 16 of a kind',
  },
  owns: {
    schema: BUS_NAME,
    types: ['dbus'],
    guard: true,
    meaning:
      'a name owned on the [hosted system bus](hosted-bus.md); needs `role`. `allow` then lists the roles that may call it',
  },
  bus: {
    schema: name('the name of a bus'),
    types: ['dbus'],
    for: '`dbus` with `owns`',
    default: '`system-bus`',
    meaning: 'the bus that it is owned on: there is no other',
  },
  role: {
    schema: name('a role'),
    types: ['dbus'],
    guard: true,
    for: '`dbus` with `owns`',
    default: 'required',
    meaning: 'the role that may own it',
  },
  activation: {
    schema: object(
      'an object with a "mode"',
      { mode: oneOf(['always', 'on-demand']) },
      { required: ['mode'] },
    ),
    for: '`dbus` with `owns`',
    default: '`always`',
    meaning:
      '`{"mode": "always"}`, or `{"mode": "on-demand"}`: its container is started when somebody calls the name',
  },
} as const satisfies Readonly<Record<string, EntryField>>;

const WANTED_NAME = either(
  BUS_NAME,
  object(
    'an object with a "name"',
    {
      name: BUS_NAME,
      activation: object('an object with a "mode"', { mode: oneOf(['none', 'on-owner']) }),
    },
    { required: ['name'] },
  ),
  'a bus name, or an object with a "name"',
);

/** What else a requirement may say. */
const OF_REQUIREMENTS = {
  names: {
    schema: list(WANTED_NAME, `an array of 1 to ${MAX_NETWORKS} bus names`, {
      minItems: 1,
      maxItems: MAX_NETWORKS,
    }),
    meaning:
      'names that are needed on the [hosted system bus](hosted-bus.md), `["org.example.Foo", {"name": "net.connman"}]`: each has to have an owner in the revision. `name` is then `system-bus`, and the default of `target` `/run/dbus/system_bus_socket`. `activation` of a name is the runtime\'s affair',
  },
  ...HTTP_FIELDS,
} as const satisfies Readonly<Record<string, EntryField>>;

type Entry<T extends Readonly<Record<string, EntryField>>> = {
  readonly [K in keyof T]?: Static<T[K]['schema']>;
};

/** An entry of `services.json` that meets its schema. */
export type ServiceEntry = SaidInManifest<'service'> &
  Entry<typeof OF_SERVICES> & {
    readonly type: string;
  };
/** A requirement or an ingress rule that meets its schema. */
export type RequirementEntry = SaidInManifest<'requirement'> &
  Entry<typeof OF_REQUIREMENTS> & {
    readonly service?: string;
    readonly external?: string;
  };

/** By the name that an entry has for each. */
export type EntryFields = Readonly<Record<string, EntryField>>;
const fieldsOf = (side: SideOf): EntryFields =>
  Object.fromEntries(sidesOf(side).map(([, key, field]) => [key, field]));

export const SERVICE_FIELDS: EntryFields = { ...fieldsOf('service'), ...OF_SERVICES };
/** By their aliases too. */
export const REQUIREMENT_FIELDS: EntryFields = withAliases({
  ...fieldsOf('requirement'),
  ...OF_REQUIREMENTS,
});

function withAliases(fields: EntryFields): EntryFields {
  const aliases = Object.values(fields).flatMap((field) =>
    field.alias === undefined ? [] : [[field.alias, field] as const],
  );
  return { ...fields, ...Object.fromEntries(aliases) };
}

/** What a plugin from outside adds. */
export interface Addition {
  readonly types: readonly string[];
  /** Fields of their entries on each side, each with its JSON schema. */
  readonly options?: {
    readonly service?: Readonly<Record<string, Schema>>;
    readonly requirement?: Readonly<Record<string, Schema>>;
  };
}

export interface Vocabulary {
  /** Of links. */
  readonly types: readonly string[];
  readonly service: EntryFields;
  readonly requirement: EntryFields;
  /** Those of the fields that are options of plugins. */
  readonly options: Readonly<Record<SideOf, EntryFields>>;
  readonly schemas: {
    readonly service: Schema<ServiceEntry>;
    readonly requirement: Schema<RequirementEntry>;
    readonly ingress: Schema<RequirementEntry>;
  };
}

/** Throws an XConnectError where an option has a name that is taken, or no schema that can be used here. */
export function vocabularyOf(additions: readonly Addition[]): Vocabulary {
  const types = [...new Set([...SERVICE_TYPES, ...additions.flatMap((one) => one.types)])];
  const [forServices, forRequirements] = [
    optionsOf('service', additions),
    optionsOf('requirement', additions),
  ];
  const type: Schema<string> = { ...oneOf(types), problem: 'type-unknown' };
  const service = { ...SERVICE_FIELDS, ...forServices };
  const requirement = { ...REQUIREMENT_FIELDS, ...forRequirements };
  const { name: _, type: __, mode: ___, ...shared } = schemasOf(requirement);
  const ingressType: Schema = { ...oneOf(['tcp', 'http'], 'tcp or http'), problem: 'type-unknown' };
  const vocabulary: Vocabulary = {
    types,
    service,
    requirement,
    options: { service: forServices, requirement: forRequirements },
    schemas: {
      service: named(
        'service',
        object('an object, a service', { ...schemasOf(service), type }, { required: ['type'] }),
      ) as Schema<ServiceEntry>,
      requirement: named(
        'requirement',
        object('an object or the name of a service', { ...schemasOf(requirement), type }),
      ) as Schema<RequirementEntry>,
      ingress: named(
        'ingress',
        object('an object, an ingress rule', { ...shared, type: ingressType }),
      ) as Schema<RequirementEntry>,
    },
  };
  // Each may be a schema, and two of them still have an "$id" in common.
  const faults = additions.length === 0 ? [] : Object.values(vocabulary.schemas).map(whyNoSchema);
  const fault = faults.find((one) => one !== null);
  if (fault === undefined) return vocabulary;
  const message = `With the options of all plugins, the schema of an entry ${fault}.`;
  throw new XConnectError('plugin-invalid', message);
}

/** `interval`, `max_rate`. */
const OPTION_NAME = /^[a-z][a-z0-9_]{0,63}$/;
const TAKEN: ReadonlySet<string> = new Set([
  ...[...Object.keys(SERVICE_FIELDS), ...Object.keys(REQUIREMENT_FIELDS)],
  ...[...ROWS.map(([, { wire }]) => wire), ...REPORTED],
]);

/** Each schema has an `$id`, so that a `$ref` in it is resolved there, not in the schema of the whole entry. */
function optionsOf(side: SideOf, additions: readonly Addition[]): EntryFields {
  const fields: Record<string, EntryField> = {};
  for (const { types, options } of additions) {
    for (const [name, given] of Object.entries(options?.[side] ?? {})) {
      const schema = { ...given, $id: `option-${name}` };
      const fault =
        TAKEN.has(name) || Object.hasOwn(fields, name)
          ? 'has a name that is taken: choose another one'
          : OPTION_NAME.test(name) && !(name in Object.prototype) // every object has "constructor"
            ? whyNoOption(name, schema)
            : 'was found, a name such as "max_rate" was expected';
      if (fault !== null) {
        const what = `The option ${show(name)} of a plugin for ${types.join(', ')}`;
        throw new XConnectError('plugin-invalid', `${what} ${fault}.`);
      }
      fields[name] = { schema, types, meaning: 'an option of a plugin' };
    }
  }
  return fields;
}

/** As of `whyNoSchema`. */
function whyNoOption(name: string, schema: Schema): string | null {
  // Beside an "$id", ajv follows it without an end.
  if (Object.hasOwn(schema, '$ref')) return 'has a "$ref" where what it refers to was expected';
  return whyNoSchema(object('an entry', { [name]: schema }));
}

export const BUILT_IN = vocabularyOf([]);

function schemasOf(fields: EntryFields): Readonly<Record<string, Schema>> {
  return Object.fromEntries(Object.entries(fields).map(([name, { schema }]) => [name, schema]));
}
