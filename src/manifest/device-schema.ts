/** What the groups and pools of `device.json` must look like. */
import { flag, name, named, number, object, oneOf, text, whole } from './schema.js';

/** Of an ingress rule. */
export const RULE_NAME = named('rule-name', name('the name of a rule'));

const AMOUNT = number('a number, 0 or more', 0);

export const GROUP_SCHEMA = named(
  'group',
  object(
    'an object, a group',
    {
      name: name('the name of a group'),
      status_goal: oneOf(['MOUNTED', 'STARTED', 'READY']),
      restart_policy: oneOf(['system', 'container']),
      timeout: AMOUNT,
      auto_recovery: object('an object', {
        policy: name('the name of a policy'),
        max_retries: whole('a whole number, 0 or more', 0),
        retry_delay: AMOUNT,
        backoff_factor: AMOUNT,
        reset_window: AMOUNT,
      }),
    },
    { required: ['name'] },
  ),
);

export const POOL_SCHEMA = named(
  'pool',
  object(
    'an object, a pool',
    {
      type: name('the type of a pool'),
      bridge: name('the name of a bridge'),
      subnet: text('a subnet such as 10.0.3.0/24', { format: 'cidr' }),
      gateway: text('an IP address', { format: 'ip' }),
      nat: flag,
    },
    { required: ['type'] },
  ),
);
