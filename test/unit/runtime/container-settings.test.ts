import { describe, expect, test } from 'vitest';
import type { DeviceGroup, Revision } from '../../../src/manifest/revision.js';
import { runtimeSettings } from '../../../src/runtime/container-settings.js';
import { fc, property } from '../../support/property.js';

function revision(
  run: Record<string, unknown>,
  args: Record<string, unknown> = {},
  groups: readonly DeviceGroup[] = [],
): Revision {
  return {
    containers: [{ name: 'web', services: [], refused: [], requirements: [], run, args }],
    unreadable: new Map(),
    device: { groups, pools: [], ingress: [] },
    problems: [],
    state: {},
  };
}

const EXEC = ['sleep', '60'];

describe('settings of a container', () => {
  test('without any word on it, it is an application that restarts by itself', () => {
    const { containers, problems } = runtimeSettings(revision({ exec: EXEC }));
    expect(containers[0]).toMatchObject({
      name: 'web',
      group: { name: 'app' },
      statusGoal: 'STARTED',
      restartPolicy: 'container',
      roles: [],
      exec: EXEC,
      ownNetwork: false,
      hostname: 'web',
    });
    expect(problems).toEqual([]);
  });

  test('run.json wins over args.json, and both over the group', () => {
    const args = { PV_GROUP: 'root', PV_RESTART_POLICY: 'container', PV_STATUS_GOAL: 'READY' };
    const { containers } = runtimeSettings(revision({ exec: EXEC, status_goal: 'MOUNTED' }, args));
    expect(containers[0]).toMatchObject({
      group: { name: 'root' },
      restartPolicy: 'container',
      statusGoal: 'MOUNTED',
    });
  });

  test('the groups of device.json come after the four that are always there, which they may change', () => {
    const declared: DeviceGroup[] = [
      { name: 'mine', timeout: 5 },
      { name: 'app', restartPolicy: 'system' },
    ];
    const { groups } = runtimeSettings(revision({ exec: EXEC }, {}, declared));
    expect(groups.map(({ name }) => name)).toEqual(['data', 'root', 'platform', 'app', 'mine']);
    expect(groups[3]).toMatchObject({ restartPolicy: 'system', statusGoal: 'STARTED' });
    expect(groups[4]).toMatchObject({ restartPolicy: 'container', timeout: 5 });
  });

  test('roles come as a list or with commas between', () => {
    const listed = runtimeSettings(revision({ exec: EXEC, roles: ['mgmt', 'a/b', 7] }));
    expect(listed.containers[0]?.roles).toEqual(['mgmt']);
    const joined = runtimeSettings(revision({ exec: EXEC }, { PV_ROLES: 'mgmt,nobody' }));
    expect(joined.containers[0]?.roles).toEqual(['mgmt', 'nobody']);
  });

  test.each([
    ['nothing', undefined],
    ['an empty list', []],
    ['a bare string', 'sleep 60'],
    ['an empty program', ['']],
    ['a number among the arguments', ['sleep', 60]],
    ['a NUL', ['sleep', '6\0']],
    ['a thousand arguments', Array(1_000).fill('x')],
  ])('with %s to run it is not started, and a problem says so', (_what, exec) => {
    const { containers, problems } = runtimeSettings(revision({ exec }));
    expect(containers[0]?.exec).toEqual([]);
    expect(problems).toMatchObject([{ file: 'web/run.json', pointer: '/exec' }]);
  });

  test.each([
    ['group', { group: 'nowhere' }],
    ['status_goal', { status_goal: 'HAPPY' }],
    ['restart_policy', { restart_policy: ['system'] }],
  ])('an unknown %s is a problem, and the default stands', (key, run) => {
    const { containers, problems } = runtimeSettings(revision({ exec: EXEC, ...run }));
    expect(problems).toMatchObject([{ pointer: `/${key}` }]);
    expect(containers[0]).toMatchObject({
      group: { name: 'app' },
      statusGoal: 'STARTED',
      restartPolicy: 'container',
    });
  });

  property('whatever stands in the two files, there are settings', async (holds) => {
    const keys = ['exec', 'group', 'status_goal', 'restart_policy', 'roles', 'network'];
    const json = fc.dictionary(fc.constantFrom(...keys), fc.jsonValue());
    const args = fc.dictionary(fc.constantFrom('PV_GROUP', 'PV_ROLES'), fc.jsonValue());
    await holds(
      fc.property(json, args, (run, arg) => {
        const { containers } = runtimeSettings(revision(run, arg));
        expect(containers).toHaveLength(1);
        expect(typeof containers[0]?.group.name).toBe('string');
      }),
    );
  });
});
