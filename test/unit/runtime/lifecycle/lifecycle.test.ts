import { describe, expect, test } from 'vitest';
import type { AutoRecovery, StatusGoal } from '../../../../src/manifest/revision.js';
import {
  hasReached,
  type LifecycleEvent,
  STATUSES,
} from '../../../../src/runtime/lifecycle/lifecycle.js';
import { recoveryOf } from '../../../../src/runtime/lifecycle/recovery.js';
import { fc, property } from '../../../support/property.js';
import { ContainerModel, ENGINE_MS } from './container-model.js';

const S = 1_000;

function model(autoRecovery?: AutoRecovery, goal: StatusGoal = 'STARTED'): ContainerModel {
  return new ContainerModel({ goal, recovery: recoveryOf(autoRecovery) });
}

/** The time from each end to the start after it. */
function waits({ history }: ContainerModel): number[] {
  const times: number[] = [];
  for (const [at, [time, status]] of history.entries()) {
    const before = history[at - 1];
    if (status === 'STARTING' && before?.[1] === 'RECOVERING') times.push(time - before[0]);
  }
  return times;
}

/** Starts it, with runs of that length and end. */
function started(container: ContainerModel, ms: number, code: number): ContainerModel {
  container.run = { ms, code };
  container.on({ is: 'start', by: 'runtime' });
  return container;
}

describe('a container that ends by itself', () => {
  test('on-failure waits longer and longer: the delay, times the factor', () => {
    const container = model({
      policy: 'on-failure',
      maxRetries: 5,
      retryDelay: 5,
      backoffFactor: 2,
      backoffPolicy: 'never',
    });
    started(container, 10 * S, 1).pass(600 * S);
    expect(waits(container)).toEqual([5, 10, 20, 40, 80].map((s) => s * S));
    expect(container.news[1]).toBe(
      'ended (exit code 1); it is started again in 5 s (attempt 1/5).',
    );
    expect(container.news.at(-1)).toBe(
      'ended (exit code 1), after 5 retries; backoff_policy never: it is left stopped.',
    );
    expect(container.state).toMatchObject({ status: 'STOPPED', end: 'failed', retries: 5 });
  });

  test('on-failure is left alone after an exit code of 0, and has reached its goal', () => {
    const container = model({ policy: 'on-failure', retryDelay: 1 });
    started(container, S, 0).pass(60 * S);
    expect(container.state).toMatchObject({ status: 'STOPPED', end: 'done', isStable: true });
    expect(hasReached(container.state, 'READY')).toBe(true);
    expect(container.launches).toBe(1);
  });

  test.each(['always', 'unless-stopped'] as const)(
    '%s is started again after a code of 0',
    (policy) => {
      const container = model({ policy, retryDelay: 3 });
      started(container, S, 0).pass(20 * S);
      expect(waits(container)).toEqual([3 * S, 3 * S, 3 * S, 3 * S]);
    },
  );

  test.each([{ policy: 'no' } as const, undefined])('%j: stays down, and says so', (recovery) => {
    const container = model(recovery);
    started(container, S, 1).pass(60 * S);
    expect(container.state).toMatchObject({ status: 'STOPPED', end: 'failed', retries: 0 });
    expect(container.news.at(-1)).toBe(
      'ended (exit code 1); it is not started again: it has no auto_recovery.',
    );
  });

  test('fails a few times, then goes on: it becomes stable', () => {
    const container = model({
      policy: 'on-failure',
      maxRetries: 3,
      retryDelay: 1,
      stableTimeout: 30,
    });
    started(container, 5 * S, 1).pass(17.5 * S);
    expect(container.state).toMatchObject({ retries: 3, isStable: false });
    container.run = null;
    container.pass(10 * S);
    expect(container.state).toMatchObject({ status: 'STARTED', isStable: false });
    container.pass(30 * S);
    expect(container.state).toMatchObject({ status: 'STARTED', isStable: true, retries: 3 });
    expect(container.news.at(-1)).toBe('is now STABLE.');
  });

  test('has its retries set back by a run as long as the reset window', () => {
    const container = model({ policy: 'always', maxRetries: 2, retryDelay: 1, resetWindow: 60 });
    started(container, 61 * S, 1).pass(1_000 * S);
    expect(container.state.retries).toBe(1);
    expect(container.reboots).toBe(0);
    expect(new Set(waits(container))).toEqual(new Set([S]));
  });

  test('without a delay is tried at once, then after ever longer waits', () => {
    const container = model({ policy: 'always' });
    started(container, 5, 1).pass(10 * S);
    expect(waits(container).slice(0, 5)).toEqual([0, 100, 200, 400, 800]);
    container.run = { ms: 20 * S, code: 1 };
    container.pass(60 * S);
    expect(waits(container).at(-1)).toBe(0);
  });

  test('that can not be launched is judged like one that ended', () => {
    const container = model({
      policy: 'on-failure',
      maxRetries: 1,
      retryDelay: 2,
      backoffPolicy: 'never',
    });
    container.why = 'no luck';
    container.on({ is: 'start', by: 'runtime' });
    container.pass(60 * S);
    expect([container.launches, container.state.status]).toEqual([2, 'STOPPED']);
    expect(container.news).toEqual([
      'did not start: no luck; it is started again in 2 s (attempt 1/1).',
      'did not start: no luck, after 1 retries; backoff_policy never: it is left stopped.',
    ]);
  });
});

describe('when the retries are used up', () => {
  const recovery: AutoRecovery = { policy: 'always', maxRetries: 2, retryDelay: 1 };

  test('reboot, which is what follows unless told, starts the whole revision anew', () => {
    const container = started(model(recovery), S, 1);
    container.pass(60 * S);
    expect([container.reboots, container.launches]).toEqual([1, 3]);
    expect(container.news.at(-1)).toContain('backoff_policy reboot: the whole revision');
  });

  test('a time is waited for, then the retries begin anew', () => {
    const container = started(model({ ...recovery, backoffPolicy: '10min' }), S, 1);
    container.pass(60 * S);
    expect(container.state).toMatchObject({ status: 'RECOVERING', retries: 2, end: 'failed' });
    expect(container.news.at(-1)).toContain('backoff_policy 10min: retries begin anew in 600 s.');
    container.pass(600 * S);
    expect(container.news.filter((text) => text.includes('attempt 1/2'))).toHaveLength(2);
    expect(waits(container).slice(0, 4)).toEqual([S, S, 600 * S, S]);
  });
});

describe('what the user says', () => {
  const recovery: AutoRecovery = { policy: 'unless-stopped', maxRetries: 3, retryDelay: 5 };

  test('a stop holds everything back but the user', () => {
    const container = started(model(recovery), S, 1);
    container.pass(2 * S);
    expect(container.state.status).toBe('RECOVERING');
    container.on({ is: 'stop', by: 'user' });
    expect(container.state).toMatchObject({ status: 'STOPPED', userStopped: true });
    container.on({ is: 'start', by: 'runtime' });
    container.pass(600 * S);
    expect([container.launches, container.state.status]).toEqual([1, 'STOPPED']);
    container.run = null;
    container.on({ is: 'start', by: 'user' });
    container.pass(S);
    expect(container.state).toMatchObject({ status: 'STARTED', userStopped: false, retries: 0 });
  });

  test('a restart sets the retries back, also of what is stopped', () => {
    const container = started(model(recovery), S, 1);
    container.pass(10 * S);
    expect(container.state.retries).toBeGreaterThan(0);
    container.run = null;
    container.on({ is: 'restart' });
    container.pass(S);
    expect(container.state).toMatchObject({ status: 'STARTED', retries: 0 });
    container.on({ is: 'stop', by: 'user' });
    container.pass(S);
    container.on({ is: 'restart' });
    container.pass(S);
    expect(container.state).toMatchObject({ status: 'STARTED', userStopped: false });
  });

  test('a stop in the middle of a launch ends what is launched', () => {
    const container = model();
    container.on({ is: 'start', by: 'runtime' });
    container.on({ is: 'stop', by: 'runtime' });
    expect(container.state.status).toBe('STOPPING');
    container.pass(3 * ENGINE_MS);
    expect([container.state.status, container.isRunning]).toEqual(['STOPPED', false]);
  });
});

describe('the goal', () => {
  test('READY is reached when the container says so, also before its launch was reported', () => {
    for (const isEarly of [false, true]) {
      const container = model({ policy: 'always', stableTimeout: 10 }, 'READY');
      container.on({ is: 'start', by: 'runtime' });
      if (!isEarly) container.pass(S);
      expect(hasReached(container.state, 'READY')).toBe(false);
      container.on({ is: 'ready' });
      container.pass(S);
      expect(container.state).toMatchObject({ status: 'READY', isStable: false });
      container.pass(10 * S);
      expect(container.state.isStable).toBe(true);
    }
  });

  test('READY is lost with the end, and the time to be stable begins anew', () => {
    const container = model({ policy: 'always', retryDelay: 1, stableTimeout: 10 }, 'READY');
    container.on({ is: 'start', by: 'runtime' });
    container.pass(S);
    container.on({ is: 'ready' });
    container.pass(9 * S);
    container.end('exit code 1');
    container.pass(20 * S);
    expect(container.state).toMatchObject({ status: 'STARTED', isStable: false });
  });

  test('MOUNTED is reached without a start', () => {
    const container = model(undefined, 'MOUNTED');
    container.on({ is: 'block' });
    container.on({ is: 'mount' });
    container.pass(S);
    expect([container.state.status, container.launches]).toEqual(['MOUNTED', 0]);
    expect(hasReached(container.state, 'MOUNTED')).toBe(true);
    expect(hasReached(container.state, 'STARTED')).toBe(false);
  });
});

property('whatever happens, the machine is sound', async (holds) => {
  const said = fc.constantFrom<LifecycleEvent>(
    { is: 'block' },
    { is: 'mount' },
    { is: 'start', by: 'runtime' },
    { is: 'start', by: 'user' },
    { is: 'stop', by: 'runtime' },
    { is: 'stop', by: 'user' },
    { is: 'restart' },
    { is: 'ready' },
  );
  const happening = fc.oneof(
    said.map((event) => (container: ContainerModel) => container.on(event)),
    fc.nat(20_000).map((ms) => (container: ContainerModel) => container.pass(ms)),
    fc
      .constantFrom('exit code 0', 'exit code 1', 'signal SIGKILL')
      .map((how) => (container: ContainerModel) => container.end(how)),
    fc.option(fc.constant('no luck')).map((why) => (container: ContainerModel) => {
      container.why = why;
    }),
  );
  const recovery = fc.record({
    policy: fc.constantFrom('no', 'on-failure', 'always', 'unless-stopped'),
    maxRetries: fc.nat(3),
    retryDelay: fc.nat(10),
    backoffFactor: fc.constantFrom(0, 1, 2, 1000),
    resetWindow: fc.nat(20),
    stableTimeout: fc.nat(20),
    backoffPolicy: fc.constantFrom('reboot', 'never', '1min'),
  }) as fc.Arbitrary<AutoRecovery>;
  const goals = fc.constantFrom<StatusGoal>('MOUNTED', 'STARTED', 'READY');
  await holds(
    fc.property(recovery, goals, fc.array(happening, { maxLength: 60 }), (rules, goal, events) => {
      const container = model(rules, goal);
      for (const happen of events) {
        happen(container);
        const { status, retries, isStable, userStopped } = container.state;
        expect(STATUSES).toContain(status);
        // What runs is known as running, and nothing else is.
        if (container.isRunning) expect(['STARTED', 'READY', 'STOPPING']).toContain(status);
        if (status === 'STARTED' || status === 'READY') expect(container.isRunning).toBe(true);
        // A wait for a retry is under way in that status alone, and only once.
        expect(container.waits).toBe(status === 'RECOVERING' ? 1 : 0);
        if (rules.maxRetries) expect(retries).toBeLessThanOrEqual(rules.maxRetries);
        if (isStable) expect(hasReached(container.state, goal) || status === 'STARTED').toBe(true);
        if (userStopped) expect(status).not.toBe('RECOVERING');
      }
      // Told to stop, it stops, and stays so.
      container.on({ is: 'stop', by: 'user' });
      container.pass(10 * ENGINE_MS);
      expect([container.state.status, container.isRunning]).toEqual(['STOPPED', false]);
      const { launches } = container;
      container.pass(24 * 3_600_000);
      expect(container.launches).toBe(launches);
    }),
    { runs: 300 },
  );
});
