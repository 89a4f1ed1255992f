import { expect, test } from 'vitest';
import {
  backOffPolicyOf,
  NO_RECOVERY,
  recoveryOf,
} from '../../../../src/runtime/lifecycle/recovery.js';

test.each([
  ['reboot', 'reboot'],
  ['never', 'never'],
  ['30s', 30_000],
  ['10min', 600_000],
  ['10 min', 600_000],
  ['1h', 3_600_000],
  ['999999h', 20 * 24 * 3_600_000],
] as const)('the backoff_policy %s is read', (text, expected) => {
  expect(backOffPolicyOf(text)).toBe(expected);
});

test.each(['', '10', '10m', '10sec', '9999999h', 'min', '-1s', '1.5h', '10min '])(
  '%j is no backoff_policy',
  (text) => {
    expect(backOffPolicyOf(text)).toBeUndefined();
  },
);

test('what is not said has the defaults of Pantavisor', () => {
  expect(recoveryOf(undefined)).toBe(NO_RECOVERY);
  expect(recoveryOf({ policy: 'always' })).toEqual({ ...NO_RECOVERY, policy: 'always' });
  expect(recoveryOf({ policy: 'always', retryDelay: 1e300, stableTimeout: 5 })).toMatchObject({
    retryDelayMs: 20 * 24 * 3_600_000,
    stableMs: 5_000,
  });
});
