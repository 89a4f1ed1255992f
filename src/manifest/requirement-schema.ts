/**
 * What a requirement must look like: an entry of `run.json` or `args.json`, and an ingress rule of `device.json`.
 */
import { MAX_CONNECTIONS, MAX_NETWORKS, MAX_STRING } from './limits.js';
import type { Schema } from './schema.js';
import { BUS_NAME, nameSchema, PROXY_PROTOCOL, TYPE_SCHEMA } from './service-schema.js';

const TARGET: Schema = {
  type: 'string',
  minLength: 1,
  maxLength: MAX_STRING,
  problem: 'path-invalid',
  description: 'a path, or IP:PORT[/PREFIX]',
};

const SHARED = {
  service: nameSchema('the name of a service'),
  target: TARGET,
  external: TARGET,
  role: nameSchema('a role'),
  provider: nameSchema('the name of a container'),
  interface: {
    type: 'string',
    minLength: 1,
    maxLength: MAX_STRING,
    format: 'clean',
    description: 'the name of an interface',
  },
  host: {
    type: 'string',
    // RFC 1123 host names, and *.example.org.
    pattern: '^(?=.{1,253}$)(\\*\\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$',
    description: 'a host name',
  },
  proxy_protocol: PROXY_PROTOCOL,
  max_connections: {
    type: 'integer',
    minimum: 1,
    maximum: MAX_CONNECTIONS,
    description: `a whole number from 1 to ${MAX_CONNECTIONS}`,
  },
  allow_from: {
    type: 'array',
    maxItems: MAX_NETWORKS,
    items: {
      type: 'string',
      format: 'network',
      problem: 'address-invalid',
      description: 'a network such as 10.0.3.0/24, or an IP address',
    },
    description: `an array of at most ${MAX_NETWORKS} networks`,
  },
};

const WANTED_NAME: Schema = {
  type: ['string', 'object'],
  description: 'a bus name, or an object with a "name"',
  if: { type: 'string' },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: BUS_NAME,
  else: {
    type: 'object',
    required: ['name'],
    description: 'an object with a "name"',
    properties: {
      name: BUS_NAME,
      activation: {
        type: 'object',
        description: 'an object with a "mode"',
        properties: { mode: { enum: ['none', 'on-owner'], description: '"none" or "on-owner"' } },
      },
    },
  },
};

export const REQUIREMENT_SCHEMA: Schema = {
  type: 'object',
  description: 'an object or the name of a service',
  properties: {
    ...SHARED,
    name: nameSchema('the name of a service'),
    names: {
      type: 'array',
      minItems: 1,
      maxItems: MAX_NETWORKS,
      items: WANTED_NAME,
      description: `an array of 1 to ${MAX_NETWORKS} bus names`,
    },
    type: TYPE_SCHEMA,
    mode: { enum: ['node', 'fd'], description: '"node" or "fd"' },
  },
};

export const RULE_NAME = nameSchema('the name of a rule');

export const INGRESS_SCHEMA: Schema = {
  type: 'object',
  description: 'an object, an ingress rule',
  properties: {
    ...SHARED,
    type: { enum: ['tcp', 'http'], problem: 'type-unknown', description: 'tcp or http' },
  },
};
