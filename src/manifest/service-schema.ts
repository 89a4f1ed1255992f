/**
 * What an entry of `services.json` must look like, field by field; what fields mean together is checked in
 * services.ts. Unknown fields are ignored: a later runtime may have more.
 */

import { MAX_PORT } from './address.js';
import { MAX_ENTRIES } from './limits.js';
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

const BUS_NAME: Schema = {
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
    fds: { type: 'boolean', description: 'true or false' },
    allow: {
      type: 'array',
      maxItems: MAX_ENTRIES,
      items: nameSchema('a role, or container:<name>'),
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
    policy_mode: { enum: ['enforce', 'audit'], description: '"enforce" or "audit"' },
  },
};
