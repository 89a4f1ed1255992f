/**
 * The published test plans of Pantavisor for containers and for their recovery, each check with real containers; what
 * they wait minutes for is tried in virtual time (test/unit/runtime/lifecycle).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { AppEngineProcess } from './appengine-process.js';

const GROUP_RECOVERY = {
  policy: 'on-failure',
  max_retries: 3,
  retry_delay: 2,
  backoff_factor: 1.5,
  stable_timeout: 15,
  backoff_policy: 'never',
};
const OWN_RECOVERY = { policy: 'always', max_retries: 9, backoff_policy: '10min' };

const STABILIZE = `
  runs=$(cat /pantavisor/logs/lxc/console.log 2>/dev/null | grep -c run)
  echo run
  [ "$runs" -lt 3 ] || exec sleep 600
  exit 1`;

describe.runIf(isRoot() && has('unshare'))('the test plans of Pantavisor', () => {
  const engine = new AppEngineProcess();

  beforeAll(async () => {
    const group = { status_goal: 'STARTED', timeout: 30 };
    engine.write({
      'device.json': {
        groups: [
          { name: 'root', restart_policy: 'system', ...group },
          { name: 'kept', restart_policy: 'container', auto_recovery: GROUP_RECOVERY, ...group },
          { name: 'app', restart_policy: 'container', ...group },
        ],
      },
      'client/run.json': { exec: ['sleep', '600'], group: 'root' },
      'server/run.json': { exec: ['sleep', '600'], group: 'app' },
      // Ends well, by itself.
      'batch/run.json': {
        exec: ['sh', '-c', 'echo done'],
        group: 'app',
        auto_recovery: { policy: 'on-failure', max_retries: 2, backoff_policy: 'never' },
      },
      // Fails each time.
      'failing/run.json': {
        exec: ['sh', '-c', 'echo try; exit 1'],
        group: 'app',
        auto_recovery: { policy: 'on-failure', max_retries: 2, backoff_policy: 'never' },
      },
      // Fails three times, which it knows from its log.
      'stabilize/run.json': {
        exec: ['sh', '-c', STABILIZE],
        group: 'app',
        auto_recovery: { policy: 'on-failure', max_retries: 8, retry_delay: 1, stable_timeout: 1 },
      },
      'graceful/run.json': {
        exec: ['sh', '-c', 'trap "echo bye; exit 0" TERM; echo here; while :; do sleep 0.1; done'],
        group: 'app',
      },
      'inherits/run.json': { exec: ['sleep', '600'], group: 'kept' },
      'overrides/run.json': { exec: ['sleep', '600'], group: 'kept', auto_recovery: OWN_RECOVERY },
    });
    await engine.start(['--no-daemon']);
  });
  afterAll(() => engine.remove());

  const container = async (name: string) =>
    (await engine.get('/containers')).body.find((one: { name: string }) => one.name === name);
  const act = async (name: string, action: string) =>
    (await engine.ask('PUT', `/containers/${name}`, { action })).status;
  const becomes = (name: string, wanted: object) =>
    eventually(async () => expect(await container(name)).toMatchObject(wanted), {
      timeoutMs: 15_000,
      intervalMs: 100,
    });

  test('one that fails again and again is left stopped in the end; all others go on', async () => {
    await becomes('failing', { status: 'STOPPED', auto_recovery: { current_retries: 2 } });
    await eventually(() => expect(engine.console('failing')).toBe('try\ntry\ntry\n'));
    await eventually(() =>
      expect(engine.ownLog()).toContain(
        'failing ended (exit code 1); it is started again at once (attempt 1/2)',
      ),
    );
    await eventually(() =>
      expect(engine.ownLog()).toContain('backoff_policy never: it is left stopped.'),
    );
    expect(await container('server')).toMatchObject({ status: 'STARTED' });
  });

  test('one that fails at first becomes stable', async () => {
    await becomes('stabilize', { status: 'STARTED', auto_recovery: { is_stable: 'true' } });
    expect(engine.console('stabilize')).toBe('run\n'.repeat(4));
    await eventually(() => expect(engine.ownLog()).toContain('stabilize is now STABLE.'));
  });

  test('one that ends well is left alone, and can be run again', async () => {
    await becomes('batch', { status: 'STOPPED', auto_recovery: { current_retries: 0 } });
    await eventually(() => expect(engine.console('batch')).toBe('done\n'));
    expect(await act('batch', 'restart')).toBe(200);
    await eventually(() => expect(engine.console('batch')).toBe('done\ndone\n'));
  });

  test('one whose retries are used up begins anew after a restart, a start too, and a stop ends that', async () => {
    await becomes('failing', { status: 'STOPPED', auto_recovery: { current_retries: 2 } });
    for (const action of ['restart', 'start']) {
      const tries = engine.console('failing').split('try').length;
      expect(await act('failing', action)).toBe(200);
      await eventually(() =>
        expect(engine.console('failing').split('try')).toHaveLength(tries + 3),
      );
      await becomes('failing', { status: 'STOPPED', auto_recovery: { current_retries: 2 } });
    }
    expect(await act('stabilize', 'stop')).toBe(200);
    expect(await container('stabilize')).toMatchObject({ status: 'STOPPED', user_stopped: 'true' });
    expect(await act('stabilize', 'start')).toBe(200);
    await becomes('stabilize', { status: 'STARTED', auto_recovery: { current_retries: 0 } });
  });

  test('recovery is inherited from the group as a whole, or its own as a whole', async () => {
    await becomes('inherits', { status: 'STARTED' });
    expect((await container('inherits')).auto_recovery).toEqual({
      policy: 'on-failure',
      max_retries: 3,
      current_retries: 0,
      stable_timeout: 15,
      is_stable: 'false',
      backoff_policy: 'never',
    });
    expect((await container('overrides')).auto_recovery).toEqual({
      policy: 'always',
      max_retries: 9,
      current_retries: 0,
      stable_timeout: 0,
      is_stable: 'true',
      backoff_policy: '10min',
    });
    const { body } = await engine.get('/groups');
    expect(body[1]).toEqual({
      name: 'kept',
      status_goal: 'STARTED',
      restart_policy: 'container',
      status: 'READY',
      auto_recovery: { max_retries: 3, stable_timeout: 15, backoff_policy: 'never' },
      containers: ['inherits', 'overrides'],
    });
    expect(body[2]).not.toHaveProperty('auto_recovery');
  });

  test('the list of containers has what their policies ask for, to the letter', async () => {
    expect(await container('client')).toEqual({
      name: 'client',
      group: 'root',
      status: 'STARTED',
      status_goal: 'STARTED',
      restart_policy: 'system',
      roles: [],
    });
    expect(await container('server')).toEqual({
      name: 'server',
      group: 'app',
      status: 'STARTED',
      status_goal: 'STARTED',
      restart_policy: 'container',
      roles: [],
      user_stopped: 'false',
    });
  });

  test('a system container is not controlled, one of its own is: stop, start, restart', async () => {
    expect(await act('client', 'stop')).toBe(403);
    expect(await act('nobody', 'stop')).toBe(404);
    expect(await act('inherits', 'stop')).toBe(200);
    expect(await container('inherits')).toMatchObject({ status: 'STOPPED', user_stopped: 'true' });
    expect(await act('inherits', 'restart')).toBe(200);
    await becomes('inherits', { status: 'STARTED', user_stopped: 'false' });
    expect(await act('inherits', 'stop')).toBe(200);
    expect(await act('inherits', 'start')).toBe(200);
    await becomes('inherits', { status: 'STARTED', user_stopped: 'false' });
  });

  test('one that heeds SIGTERM ends by itself, before it would be killed', async () => {
    await engine.untilSaid('graceful', 'here'); // and heeds it from then on
    expect(await act('graceful', 'stop')).toBe(200);
    expect(await container('graceful')).toMatchObject({ status: 'STOPPED', user_stopped: 'true' });
    await eventually(() => expect(engine.console('graceful')).toBe('here\nbye\n'));
    expect(engine.said).not.toContain('graceful did not end');
  });
});
