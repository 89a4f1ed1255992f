/**
 * What the entries of `device.json` that concern us must look like.
 */
import type { Schema } from './schema.js';
import { nameSchema } from './service-schema.js';

const AMOUNT: Schema = { type: 'number', minimum: 0, description: 'a number, 0 or more' };

export const GROUP_SCHEMA: Schema = {
  type: 'object',
  description: 'an object, a group',
  required: ['name'],
  properties: {
    name: nameSchema('the name of a group'),
    status_goal: {
      enum: ['MOUNTED', 'STARTED', 'READY'],
      description: 'one of MOUNTED, STARTED, READY',
    },
    restart_policy: { enum: ['system', 'container'], description: '"system" or "container"' },
    timeout: AMOUNT,
    auto_recovery: {
      type: 'object',
      description: 'an object',
      properties: {
        policy: nameSchema('the name of a policy'),
        max_retries: { type: 'integer', minimum: 0, description: 'a whole number, 0 or more' },
        retry_delay: AMOUNT,
        backoff_factor: AMOUNT,
        reset_window: AMOUNT,
      },
    },
  },
};

export const POOL_SCHEMA: Schema = {
  type: 'object',
  description: 'an object, a pool',
  required: ['type'],
  properties: {
    type: nameSchema('the type of a pool'),
    bridge: nameSchema('the name of a bridge'),
    subnet: { type: 'string', format: 'cidr', description: 'a subnet such as 10.0.3.0/24' },
    gateway: { type: 'string', format: 'ip', description: 'an IP address' },
    nat: { type: 'boolean', description: 'true or false' },
  },
};
