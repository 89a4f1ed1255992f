/** What the groups and pools of `device.json` must look like, and what a `run.json` says to the runtime. */

import { MAX_ENTRIES } from './limits.js';
import { BACK_OFF_TIME, RECOVERY_POLICIES, RESTART_POLICIES, STATUS_GOALS } from './revision.js';
import { flag, list, map, name, named, number, object, oneOf, text, whole } from './schema.js';

/** Of an ingress rule. */
export const RULE_NAME = named('rule-name', name('the name of a rule'));

const AMOUNT = number('a number, 0 or more', 0);

const AUTO_RECOVERY = object(
  'an object, how it recovers',
  {
    policy: oneOf(RECOVERY_POLICIES),
    max_retries: whole('a whole number, 0 (no limit) or more', 0),
    retry_delay: AMOUNT,
    backoff_factor: AMOUNT,
    reset_window: AMOUNT,
    stable_timeout: AMOUNT,
    backoff_policy: text('"reboot", "never", or a time such as "10min"', {
      pattern: `^(reboot|never)$|${BACK_OFF_TIME.source}`,
    }),
  },
  { required: ['policy'] },
);
export const AUTO_RECOVERY_SCHEMA = named('auto-recovery', AUTO_RECOVERY);

/** `network` of a `run.json`. */
export const NETWORK_SCHEMA = named(
  'network',
  object('an object, the network of a container', {
    mode: oneOf(['pool', 'host', 'none']),
    pool: name('the name of a pool'),
    hostname: text('a host name', { format: 'hostname' }),
    interfaces: list(
      object('an object, an interface', {
        name: text('the name of an interface, at most 15 letters, digits, dots, dashes', {
          pattern: '^(?!lo$)[A-Za-z][A-Za-z0-9_.-]{0,14}$',
        }),
        pool: name('the name of a pool'),
        ipv4_address: text('an IP address, with or without /BITS', { format: 'host-or-cidr' }),
        mac_address: text('a MAC address such as 02:00:0a:00:05:02', { format: 'mac' }),
      }),
      'an array of at most 16 interfaces',
      { maxItems: 16 },
    ),
  }),
);

/** `storage` of a `run.json`: how long what is written to the root or a volume is kept. */
export const STORAGE_SCHEMA = named(
  'storage',
  map(
    object('an object with "persistence"', {
      persistence: oneOf(['permanent', 'revision', 'boot']),
      disk: name('the name of a disk'),
    }),
    'an object, by volume',
    { maxProperties: MAX_ENTRIES, propertyNames: text('a volume or a path', { format: 'clean' }) },
  ),
);

/** A file of the container's folder: `root-volume`, `config`, an entry of `volumes`. */
export const FILE_SCHEMA = named('container-file', name('the name of a file of the container'));

export const GROUP_SCHEMA = named(
  'group',
  object(
    'an object, a group',
    {
      name: name('the name of a group'),
      status_goal: oneOf(STATUS_GOALS),
      restart_policy: oneOf(RESTART_POLICIES),
      timeout: AMOUNT,
      auto_recovery: AUTO_RECOVERY,
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
