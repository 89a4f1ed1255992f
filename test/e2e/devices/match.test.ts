/**
 * An input export by its identity: found in sysfs, wherever it is plugged in. The daemon's host is a mount
 * namespace with a sysfs of the test's making (test/support/device-host.ts); nodes are real.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { usePair } from '../../support/container-pair.js';
import type { WireLink } from '../../support/link.js';
import { eventually } from '../../support/wait.js';
import { Devices } from './support.js';

const KEYPAD = { name: 'ACME Keypad', phys: 'usb-1/input0', vendor: '1d6b', product: '0104' };
const OTHER = { name: 'ACME Mouse', phys: 'usb-2/input0', vendor: '1d6b', product: '0105' };
const TARGET = '/dev/input/keypad';

describe('an input link by identity', () => {
  const at = usePair(new Devices());
  afterEach(async () => {
    for (const number of [0, 3, 5]) at.host.unplugInput(number);
    await at.clear();
  });

  const link = (fields: Partial<WireLink> = {}) =>
    at.link({
      provider: '_pv_',
      provider_pid: 0,
      type: 'input',
      socket: TARGET,
      target: TARGET,
      match: { vendor: '1d6b', product: '0104' },
      ...fields,
    });
  const minor = async () => at.inConsumer(`stat -c %T ${TARGET} 2>/dev/null`);

  test('follows the device through unplugging, under whatever number it comes back', async () => {
    await at.refused('device-missing', link());
    at.host.plugInput(0, OTHER);
    at.host.plugInput(3, KEYPAD);
    await at.daemon.until({ card: 'established' });
    expect(await minor()).toBe('43');
    at.host.unplugInput(3);
    await at.daemon.until({ card: 'waiting' });
    expect(await minor()).toBe('');
    at.host.plugInput(5, KEYPAD);
    await at.daemon.until({ card: 'established' });
    expect(await minor()).toBe('45');
  });

  test('does not take another device that got its number', async () => {
    at.host.plugInput(3, KEYPAD);
    await at.until('established', link());
    at.host.unplugInput(3);
    at.host.plugInput(3, OTHER);
    await at.daemon.until({ card: 'waiting' });
    expect(await minor()).toBe('');
  });

  test.each([
    ['name', { name: 'ACME Keypad' }],
    ['phys', { phys: 'usb-1/input0' }],
    ['all of it', KEYPAD],
  ])('finds it by %s', async (_what, match) => {
    at.host.plugInput(0, OTHER);
    at.host.plugInput(3, KEYPAD);
    await at.until('established', link({ match }));
    expect(await minor()).toBe('43');
  });

  test('is failed where two devices match, until one is gone', async () => {
    at.host.plugInput(0, OTHER);
    at.host.plugInput(3, KEYPAD);
    const message = await at.refused('device-ambiguous', link({ match: { vendor: '1d6b' } }));
    expect(message).toBe(
      'event0, event3 match {"vendor":"1d6b"} of _pv_, one device was expected.',
    );
    at.host.unplugInput(0);
    await at.daemon.until({ card: 'established' });
  });

  test('in a provider is its node of that name, and must be that device', async () => {
    const provider = { provider: 'provider', provider_pid: at.provider.pid };
    at.host.plugInput(3, KEYPAD);
    await at.refused('device-missing', link(provider));
    await at.inProvider('mkdir -p /dev/input; mknod /dev/input/event3 c 13 68');
    await at.withError('device-wrong');
    await at.inProvider('rm /dev/input/event3; mknod /dev/input/event3 c 13 67');
    await at.daemon.until({ card: 'established' });
    expect(await minor()).toBe('43');
  });

  test('ends with its folder, and comes back with that', async () => {
    at.host.plugInput(3, KEYPAD);
    await at.until('established', link());
    at.host.remove('/dev/input');
    await at.daemon.until({ card: 'waiting' });
    const { mkdirSync } = await import('node:fs');
    mkdirSync(at.host.path('/dev/input'));
    at.host.mknod('/dev/input/event3', 13, 67);
    await at.daemon.until({ card: 'established' });
    await eventually(async () => expect(await minor()).toBe('43'));
  });
});
