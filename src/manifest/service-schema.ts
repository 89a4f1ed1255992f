/**
 * What an entry of `services.json` must look like, field by field; what fields mean together is checked in
 * services.ts, and which there may be in fields.ts.
 */

import { MAX_RULES } from '../kernel/http-options.js';
import { MAX_PORT } from './address.js';
import { MAX_ENTRIES, MAX_LEASED, MAX_PARTS } from './limits.js';
import type { Schema } from './schema.js';
import { SERVICE_TYPES } from './vocabulary.js';

export const TYPE_SCHEMA: Schema = {
  enum: SERVICE_TYPES,
  problem: 'type-unknown',
  description: `one of ${SERVICE_TYPES.join(', ')}`,
};

export function nameSchema(what: string): Schema {
  const description = `${what}, 1 to 255 characters without slashes or control characters`;
  return { type: 'string', format: 'name', problem: 'name-invalid', description };
}

export const PROXY_PROTOCOL: Schema = { enum: [1, 2], description: '1 or 2' };

export const BUS_NAME: Schema = {
  type: 'string',
  format: 'bus-name',
  problem: 'name-invalid',
  description: 'a D-Bus name such as org.example.Foo',
};

const NAME_PATTERN: Schema = {
  type: 'string',
  format: 'name-pattern',
  problem: 'policy-invalid',
  description: 'a bus name, "org.example.*" or "*"',
};

const MEMBER_RULE: Schema = {
  type: 'string',
  format: 'member-rule',
  problem: 'policy-invalid',
  description: 'a rule such as "org.example.Admin.Status@/org/example/*"',
};

function listOf(items: Schema, what: string): Schema {
  const description = `an array of ${what}`;
  return { type: 'array', maxItems: MAX_ENTRIES, items, problem: 'policy-invalid', description };
}

const NAME_LIST = listOf(NAME_PATTERN, 'bus names');

const RULES_BY_NAME: Schema = {
  type: 'object',
  propertyNames: NAME_PATTERN,
  additionalProperties: listOf(MEMBER_RULE, 'rules'),
  problem: 'policy-invalid',
  description: 'an object, arrays of rules by bus name',
};

const POLICY: Schema = {
  type: 'object',
  problem: 'policy-invalid',
  description: 'an object, rules by role',
  additionalProperties: {
    type: 'object',
    problem: 'policy-invalid',
    description: 'an object with "see", "talk", "own", "call" and "broadcast" only',
    additionalProperties: false,
    properties: {
      see: NAME_LIST,
      talk: NAME_LIST,
      own: NAME_LIST,
      call: RULES_BY_NAME,
      broadcast: RULES_BY_NAME,
    },
  },
};

/** drm_connector_enum_list of the kernel, and the number within the type. */
const CONNECTOR: Schema = {
  type: 'string',
  pattern: '^[A-Za-z]{2,10}(-[A-Z])?-[1-9][0-9]{0,2}$',
  description: 'a connector such as "HDMI-A-1"',
};

const INPUT_TEXT: Schema = {
  type: 'string',
  minLength: 1,
  maxLength: 255,
  format: 'clean',
  description: 'a text, as /sys/class/input has it',
};

const USB_NUMBER: Schema = {
  type: 'string',
  pattern: '^[0-9A-Fa-f]{4}$',
  description: 'four hexadecimal digits, as lsusb shows them',
};

const INPUT_MATCH: Schema = {
  type: 'object',
  minProperties: 1,
  additionalProperties: false,
  description: 'an object with "name", "phys", "vendor" or "product"',
  properties: { name: INPUT_TEXT, phys: INPUT_TEXT, vendor: USB_NUMBER, product: USB_NUMBER },
};

function partsOf(what: string, format: string): Schema {
  return {
    type: 'array',
    minItems: 1,
    maxItems: MAX_PARTS,
    items: { type: 'string', format, problem: 'policy-invalid', description: what },
    problem: 'policy-invalid',
    description: `an array of 1 to ${MAX_PARTS}, each ${what}`,
  };
}

/** A role that may make some calls only, of an entry with `owns`. */
const NARROWED: Schema = {
  type: 'object',
  required: ['role'],
  additionalProperties: false,
  problem: 'policy-invalid',
  description: 'an object with "role", "interfaces", "members" and "paths" only',
  properties: {
    role: nameSchema('a role'),
    interfaces: partsOf('an interface such as "org.example.Foo"', 'interface'),
    members: partsOf('the name of a method', 'member'),
    paths: partsOf('an object path such as "/org/example"', 'object-path'),
  },
};

export const SERVICE_SCHEMA: Schema = {
  type: 'object',
  description: 'an object, a service',
  required: ['type'],
  properties: {
    name: nameSchema('a name'),
    type: TYPE_SCHEMA,
    socket: {
      type: 'string',
      format: 'path',
      problem: 'path-invalid',
      description: 'an absolute path without ".."',
    },
    port: {
      type: 'integer',
      minimum: 1,
      maximum: MAX_PORT,
      problem: 'port-invalid',
      description: `a TCP port from 1 to ${MAX_PORT}`,
    },
    mode: {
      enum: ['stream', 'seqpacket', 'dgram'],
      description: 'one of stream, seqpacket, dgram',
    },
    proxy_protocol: PROXY_PROTOCOL,
    fds: { type: 'boolean', description: 'true or false' },
    access: { enum: ['ro', 'rw'], description: '"ro" or "rw"' },
    lease: {
      type: 'array',
      minItems: 1,
      maxItems: MAX_LEASED,
      uniqueItems: true,
      items: CONNECTOR,
      description: `an array of 1 to ${MAX_LEASED} connectors, each once`,
    },
    match: INPUT_MATCH,
    allow: {
      type: 'array',
      maxItems: MAX_ENTRIES,
      items: {
        type: ['string', 'object'],
        description: 'a role, container:<name>, or an object with a "role"',
        if: { type: 'string' },
        // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
        then: nameSchema('a role, or container:<name>'),
        else: NARROWED,
      },
      description: 'an array of roles and container:<name>',
    },
    bus: nameSchema('the name of a bus'),
    owns: BUS_NAME,
    role: nameSchema('a role'),
    activation: {
      type: 'object',
      required: ['mode'],
      description: 'an object with a "mode"',
      properties: {
        mode: { enum: ['always', 'on-demand'], description: '"always" or "on-demand"' },
      },
    },
    policy: POLICY,
    rules: {
      type: 'object',
      description: 'an object, arrays of rules by role',
      additionalProperties: {
        type: 'array',
        maxItems: MAX_RULES,
        items: {
          type: 'string',
          format: 'http-rule',
          description: 'a rule such as "GET /path/**"',
        },
        description: `an array of at most ${MAX_RULES} rules`,
      },
    },
    policy_mode: { enum: ['enforce', 'audit'], description: '"enforce" or "audit"' },
  },
};
