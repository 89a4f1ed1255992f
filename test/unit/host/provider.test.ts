/** A provider's end of a link, with a broker of the test's own: what is in flight when something else happens. */
import { openSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { FoundNode } from '../../../src/broker/device-operations.js';
import type { Link } from '../../../src/graph/link.js';
import { Container } from '../../../src/host/containers.js';
import type { ErrnoResult } from '../../../src/kernel/result.js';
import type { Seen } from '../../../src/plugins/plugin.js';
import { closed } from '../../support/descriptors.js';
import { unixLink } from '../../support/link.js';
import { type ProviderStand, providerStand } from './provider-stand.js';

const RUNNING = unixLink({ providerPid: 7 });
const WELL = { ok: true, value: undefined } as const;
const no = (errno: string) => ({ ok: false, errno }) as const;

let at: ProviderStand;
const stand = (link: Link = RUNNING) => {
  at = providerStand(link);
  return at;
};

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => {
  at.provider.close();
  vi.useRealTimers();
});

/** Looks for the provider's socket, for the test to answer. */
function probes(): ((found: ErrnoResult<void>) => Promise<void>)[] {
  const asked: ((found: ErrnoResult<void>) => Promise<void>)[] = [];
  at.broker.probeUnix = () =>
    new Promise((resolve) => {
      asked.push(async (found) => {
        resolve(found);
        await turn();
      });
    });
  return asked;
}

describe('a look at a provider', () => {
  test('is taken once more, however often there is reason to while one is under way', async () => {
    const { provider } = stand();
    const looks: ((seen: Seen) => void)[] = [];
    provider.lookWith(() => new Promise((resolve) => looks.push(resolve)));
    void provider.retarget(RUNNING, 0);
    await turn();
    for (let i = 0; i < 1_000; i++) provider.soon();
    expect(looks).toHaveLength(1);
    looks[0]?.({ error: null });
    await turn();
    expect(looks).toHaveLength(2);
    looks[1]?.({ error: null });
    await turn();
    expect(looks).toHaveLength(2);
    provider.soon();
    expect(looks).toHaveLength(3);
  });

  test('that hangs does not keep the next container from being looked at', async () => {
    const { provider } = stand();
    let looks = 0;
    provider.lookWith(() => {
      looks++;
      return new Promise(() => undefined);
    });
    void provider.retarget(RUNNING, 0);
    await turn();
    await Promise.race([provider.retarget({ ...RUNNING, providerPid: 8 }, 0), turn()]);
    expect(looks).toBe(2);
  });

  test('is followed by no second one at the same time, whatever connections show meanwhile', async () => {
    const { provider, told } = stand();
    const asked = probes();
    void provider.retarget(RUNNING, 0);
    await turn();
    provider.reached('ECONNREFUSED');
    provider.reached(null);
    provider.reached('ECONNREFUSED');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(1);
    await asked[0]?.(WELL); // as it was when it began
    expect(told.at(-1)).toEqual(['waiting', 'provider-refused']);
    await vi.advanceTimersByTimeAsync(50);
    expect(asked).toHaveLength(2);
    await asked[1]?.(WELL);
    expect(told.at(-1)).toEqual(['established', null]);
  });

  test('that began before a connection was made is not believed after it', async () => {
    const { provider, told } = stand();
    const asked = probes();
    void provider.retarget(RUNNING, 0);
    await turn();
    provider.reached(null);
    await asked[0]?.(no('ENOENT'));
    expect(told).toEqual([['established', null]]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(1);
  });

  test('is repeated later and later, to 2 s, until the provider is there', async () => {
    const { provider } = stand();
    let looks = 0;
    at.broker.probeUnix = async () => {
      looks++;
      return no('ENOENT');
    };
    await provider.retarget(RUNNING, 0);
    for (const ms of [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]) {
      const before = looks;
      await vi.advanceTimersByTimeAsync(ms - 1);
      expect(looks).toBe(before);
      await vi.advanceTimersByTimeAsync(1);
      expect(looks).toBe(before + 1);
    }
    at.broker.probeUnix = async () => WELL;
    await vi.advanceTimersByTimeAsync(2_000);
    looks = 0;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(looks).toBe(0);
  });
});

describe('that a provider is there', () => {
  const DAEMON = { ...RUNNING, role: 'daemon' };

  test('is not said because its passwd can be read again', async () => {
    const { provider, told, broker } = stand(DAEMON);
    const asked = probes();
    broker.read = async () => no('EACCES');
    void provider.retarget(DAEMON, 0);
    await turn();
    await asked[0]?.(no('ENOENT'));
    await provider.request('stream');
    expect(told.at(-1)).toEqual(['failed', 'identity-unknown']);
    broker.read = async () => ({ ok: true, value: Buffer.from('daemon:x:1:1::/:\n') });
    expect(await provider.request('stream')).toMatchObject({ ok: true });
    expect(told.at(-1)).toEqual(['failed', 'identity-unknown']);
    await vi.advanceTimersByTimeAsync(50);
    await asked[1]?.(no('ENOENT'));
    expect(told.at(-1)).toEqual(['waiting', 'provider-socket-missing']);
    expect(told).not.toContainEqual(['established', null]);
  });

  test('is not said while every connection fails for want of a uid, whatever a plugin looks for', async () => {
    const { provider, told, broker } = stand(DAEMON);
    broker.read = async () => no('EACCES');
    provider.lookWith(async () => ({ error: null }));
    await provider.retarget(DAEMON, 0);
    expect(told.at(-1)).toEqual(['established', null]); // nobody has needed one yet
    await provider.request('stream');
    await turn();
    expect(told.at(-1)).toEqual(['failed', 'identity-unknown']);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(told.at(-1)).toEqual(['failed', 'identity-unknown']);
    broker.read = async () => no('ENOENT');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(told.at(-1)).toEqual(['established', null]);
  });

  test.each([
    ['that connects by itself', () => at.provider.released()],
    ['of which the relay connects', () => at.provider.reached(null)],
  ])(
    'is not said of a ring that is open again, before a link %s was looked at',
    async (_, open) => {
      const { provider, told } = stand();
      const asked = probes();
      void provider.retarget(RUNNING, 0);
      await turn();
      await asked[0]?.(WELL);
      provider.reached('EDEADLK');
      expect(told.at(-1)).toEqual(['failed', 'provider-loop']);
      open();
      expect(told.at(-1)).toEqual(['failed', 'provider-loop']);
      await asked[1]?.(no('ENOENT'));
      expect(told.at(-1)).toEqual(['waiting', 'provider-socket-missing']);
    },
  );

  test('is said no more of the container before, while the next one hangs', async () => {
    const { provider, told } = stand();
    const asked = probes();
    void provider.retarget(RUNNING, 0);
    await turn();
    await asked[0]?.(WELL);
    expect(told.at(-1)).toEqual(['established', null]);
    void provider.retarget({ ...RUNNING, providerPid: 8 }, 0);
    await turn();
    expect(asked).toHaveLength(2);
    expect(told.at(-1)).toEqual(['waiting', 'provider-socket-missing']);
    await asked[1]?.(WELL);
    expect(told.at(-1)).toEqual(['established', null]);
  });

  test('is not said by a connection to the container before', async () => {
    const { provider, told, broker } = stand();
    const asked = probes();
    void provider.retarget(RUNNING, 0);
    await turn();
    let made = (_result: ErrnoResult<number>) => {};
    broker.connectUnix = () => new Promise((resolve) => (made = resolve));
    const connecting = provider.connect('stream', 1_000, async () => 'on');
    await turn();
    void provider.retarget({ ...RUNNING, providerPid: 8 }, 0);
    await turn();
    await asked[1]?.(no('ENOENT'));
    made({ ok: true, value: openSync('/dev/null', 'r') });
    expect(await connecting).toMatchObject({ ok: true });
    expect(told).toEqual([['waiting', 'provider-socket-missing']]);
  });

  test('is not said of a device between its end and the look that has found it', async () => {
    const { provider, told, device, onGone } = stand({ ...RUNNING, type: 'drm' });
    let found: ErrnoResult<FoundNode> = no('ENOENT');
    const node = { major: 1, minor: 3, mode: 0o20666, uid: 0, gid: 0 }; // /dev/null, which sysfs knows
    at.broker.devices.find = async () =>
      found.ok ? { ok: true, value: { node, fd: openSync('/dev/null', 'r') } } : found;
    provider.lookWith(() => device.look());
    found = { ok: true, value: { node, fd: -1 } };
    await provider.retarget(RUNNING, 0);
    expect(told.at(-1)).toEqual(['established', null]);
    at.reportHealth({ code: 'device-busy', message: 'b' });
    expect(told.at(-1)).toEqual(['failed', 'device-busy']);
    onGone(() => at.reportHealth(null));
    found = no('ENOENT');
    told.length = 0;
    provider.soon();
    await vi.waitFor(() => expect(told.at(-1)).toEqual(['waiting', 'device-missing']));
    await turn();
    expect(told).not.toContainEqual(['established', null]);
    found = { ok: true, value: { node, fd: -1 } };
    await vi.waitFor(() => expect(told.at(-1)).toEqual(['established', null]));
  });
});

describe('what the runtime does not provide', () => {
  test('is not waited for', async () => {
    const link = unixLink({ provider: '_pv_', type: 'rest' });
    const { provider, told } = stand(link);
    await provider.retarget(link, 0);
    expect(told).toEqual([['failed', 'type-unsupported']]);
    const error = { code: 'type-unsupported' };
    expect(await provider.connect('stream', 1_000, async () => 'on')).toMatchObject({
      ...{ ok: false, error, waits: false },
    });
    expect(await provider.request('stream')).toMatchObject({ ok: false, error });
  });
});

test('what the runtime provides is not said to be unsupported before it was looked at', async () => {
  const link = unixLink({ provider: '_pv_', providerPid: 0, type: 'drm' });
  const { provider, told } = stand(link);
  const retargeted = provider.retarget(link, 0);
  provider.lookWith(() => new Promise(() => undefined));
  await retargeted;
  expect(told).toEqual([]);
});

describe('a connection that is made when its link has ended', () => {
  test.each(['container', 'bus'])('is closed, to a %s', async (to) => {
    const bus = { provider: '_pv_', providerPid: 0, type: 'dbus', socket: '/bus', uid: 200_000 };
    const link = to === 'bus' ? unixLink(bus) : RUNNING;
    const { provider, broker } = stand(link);
    const fd = openSync('/dev/null', 'r');
    let made = (_result: { ok: true; value: number }) => {};
    broker.probeUnix = async () => WELL;
    broker.connectUnix = broker.connectBus = () =>
      new Promise((resolve) => {
        made = resolve;
      });
    if (to === 'container') await provider.retarget(link, 0);
    const connecting = provider.connect('stream', 1_000, async () => 'on');
    await turn();
    provider.close();
    made({ ok: true, value: fd });
    expect(await connecting).toMatchObject({ ok: false, waits: false });
    vi.useRealTimers();
    await closed(fd);
  });
});

test.each(['dbus', 'drm'])(
  'a link to %s of the runtime that has ended is looked at no more',
  async (type) => {
    const link = unixLink({ provider: '_pv_', providerPid: 0, type, socket: '/bus', uid: 200_000 });
    const { provider, broker } = stand(link);
    let looks = 0;
    broker.connectBus = async () => {
      looks++;
      return no('ENOENT');
    };
    provider.lookWith(async () => {
      looks++;
      return { error: null };
    });
    await turn();
    provider.close();
    looks = 0;
    await provider.retarget(link, 0);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(looks).toBe(0);
  },
);

test('a container that was held for an earlier target is released', async () => {
  const { provider, containers } = stand();
  const released: number[] = [];
  const first = new Container('provider', 7, 1, 1);
  const second = new Container('provider', 8, 2, 2);
  let hold = () => {};
  containers.release = ({ pid }) => void released.push(pid);
  containers.retain = async (_name, pid) => {
    if (pid === 8) return { ok: true, value: second };
    await new Promise<void>((resolve) => (hold = resolve));
    return { ok: true, value: first };
  };
  probes();
  void provider.retarget(RUNNING, 0);
  void provider.retarget({ ...RUNNING, providerPid: 8 }, 0);
  await turn();
  hold();
  await turn();
  expect(released).toEqual([7]);
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
