/** A policy and names that are started on demand, on one link: what may not be called starts nobody. */
import type { MessageBus } from 'dbus-next';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { echo, message, OnDemandStand, OTHER, TEST } from './on-demand.js';
import { DENIED, DRIVER, FOO } from './support.js';

const NONE = 'org.example.None';
const UNKNOWN = 'org.freedesktop.DBus.Error.ServiceUnknown';
const SPAWN_FAILED = 'org.freedesktop.DBus.Error.Spawn.Failed';

describe.runIf(isRoot() && has('dbus-daemon'))('with a policy, a name on demand', () => {
  const at = new OnDemandStand();
  let one: MessageBus;
  beforeAll(() => at.start());
  beforeEach(async () => {
    at.reset();
    await at.establish({
      activates: [FOO, OTHER, NONE],
      policy: { see: [OTHER], call: { [FOO]: [`${TEST}.Echo`, `${TEST}.Quit`] } },
    });
    one = at.connect();
  });
  afterEach(async () => {
    one.disconnect();
    await at.bus.reset();
  });
  afterAll(() => at.stop());

  const ofBus = (member: string, signature = '', body: unknown[] = []) =>
    message(member, { destination: DRIVER, interface: DRIVER, signature, body });

  test('is started by a call that it allows', async () => {
    at.starts(500);
    const calls = ['a', 'b', 'c'].map(async (text) => (await one.call(echo(text)))?.body[0]);
    expect(await Promise.all(calls)).toEqual(['a', 'b', 'c']);
    expect(at.asked).toEqual([{ bus: 'system-bus', name: FOO }]);
  });

  test.each([
    ['a member that may not be called', message('Other'), DENIED],
    ['a name that may only be seen', echo('a', { destination: OTHER }), DENIED],
    ['a name that may not even be seen', echo('a', { destination: NONE }), UNKNOWN],
    [
      'a start of a name that may not be called',
      ofBus('StartServiceByName', 'su', [OTHER, 0]),
      DENIED,
    ],
    ['a start of a hidden name', ofBus('StartServiceByName', 'su', [NONE, 0]), UNKNOWN],
  ])('is not started by %s', async (_, call, type) => {
    await expect(one.call(call)).rejects.toMatchObject({ type });
    expect(at.asked).toEqual([]);
  });

  test('is started again after it left, and the policy knows its new owner', async () => {
    at.starts();
    for (const text of ['a', 'b', 'c']) {
      expect((await one.call(echo(text)))?.body[0]).toBe(text);
      const owner = (await one.call(ofBus('GetNameOwner', 's', [FOO])))?.body[0];
      // By its unique name too: the right is that of the name, and news of it reached the policy.
      expect((await one.call(echo('unique', { destination: owner })))?.body[0]).toBe('unique');
      await one.call(message('Quit'));
      await eventually(async () => {
        expect((await one.call(ofBus('NameHasOwner', 's', [FOO])))?.body[0]).toBe(false);
      });
    }
    expect(at.asked).toHaveLength(3);
  });

  test('that can not be started answers each call once, and they can go on for ever', async () => {
    at.daemon.onActivate = async () => 409;
    // As many as a policy remembers without an answer, and more.
    for (let round = 0; round < 180; round++) {
      const calls = Array.from({ length: 50 }, () => one.call(echo('a')));
      const results = await Promise.allSettled(calls);
      const types = results.map((result) =>
        result.status === 'rejected' ? (result.reason as { type: string }).type : 'answered',
      );
      expect(new Set(types)).toEqual(new Set([SPAWN_FAILED]));
    }
  }, 60_000);
});
