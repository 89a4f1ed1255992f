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
  test('without any word on it, it is of the platform, where it is not the first one', () => {
    const one = revision({ exec: EXEC });
    const [web] = one.containers as [(typeof one.containers)[0]];
    const { containers, problems } = runtimeSettings({
      ...one,
      containers: [{ ...web, name: 'a' }, web],
    });
    expect(containers.map(({ group }) => group.name)).toEqual(['root', 'platform']);
    expect(containers[1]).toMatchObject({
      name: 'web',
      type: 'namespace',
      obstacle: null,
      statusGoal: 'STARTED',
      restartPolicy: 'system',
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

  test('nobody is moved to the group root where somebody is in it', () => {
    const one = revision({ exec: EXEC });
    const [web] = one.containers as [(typeof one.containers)[0]];
    const other = { ...web, name: 'z', run: { exec: EXEC, group: 'root' } };
    const { containers } = runtimeSettings({ ...one, containers: [web, other] });
    expect(containers.map(({ group }) => group.name)).toEqual(['platform', 'root']);
  });

  test('the groups of device.json are all that there are, and a container has to be in one', () => {
    const declared: DeviceGroup[] = [
      { name: 'mine', timeout: 5 },
      { name: 'app', restartPolicy: 'system' },
    ];
    const { groups, containers, problems } = runtimeSettings(
      revision({ exec: EXEC }, {}, declared),
    );
    expect(groups.map(({ name }) => name)).toEqual(['mine', 'app']);
    expect(groups[0]).toMatchObject({ restartPolicy: 'container', timeout: 5 });
    expect(groups[1]).toMatchObject({ restartPolicy: 'system', statusGoal: 'STARTED' });
    expect(problems).toMatchObject([{ code: 'group-missing', file: 'web/run.json' }]);
    expect(containers[0]?.obstacle).toContain('is in no group');
  });

  test('how it recovers is its own word, else the whole of the group’s', () => {
    const own = {
      policy: 'on-failure',
      max_retries: 3,
      stable_timeout: 9,
      backoff_policy: '10min',
    };
    const group = { name: 'app', autoRecovery: { policy: 'always' as const, retryDelay: 7 } };
    const of = (run: object, args = {}) =>
      runtimeSettings(revision({ exec: EXEC, group: 'app', ...run }, args, [group]));
    const expected = {
      policy: 'on-failure',
      maxRetries: 3,
      stableTimeout: 9,
      backoffPolicy: '10min',
    };
    expect(of({ auto_recovery: own }).containers[0]?.autoRecovery).toEqual(expected);
    expect(of({}, { PV_AUTO_RECOVERY: own }).containers[0]?.autoRecovery).toEqual(expected);
    expect(of({}).containers[0]?.autoRecovery).toEqual(group.autoRecovery);
    const wrong = of({ auto_recovery: { policy: 'sometimes', backoff_policy: 'soon' } });
    expect(wrong.problems.map(({ pointer }) => pointer).sort()).toEqual([
      '/auto_recovery/backoff_policy',
      '/auto_recovery/policy',
    ]);
    for (const time of ['10m', '10sec', '1h30min']) {
      const said = of({ auto_recovery: { policy: 'always', backoff_policy: time } });
      expect(said.problems.map(({ pointer }) => pointer)).toEqual([
        '/auto_recovery/backoff_policy',
      ]);
    }
  });

  test('of the type lxc it has a configuration, a root, volumes, and storage by persistence', () => {
    const run = {
      type: 'lxc',
      config: 'lxc.container.conf',
      'root-volume': 'dm:root.squashfs',
      volumes: ['more.squashfs', '../up'],
      storage: {
        'lxc-overlay': { persistence: 'boot' },
        '/data': { persistence: 'permanent', disk: 'sd' },
      },
      drivers: { required: ['wifi'], optional: ['bluetooth'] },
    };
    const { containers, problems } = runtimeSettings(revision(run));
    expect(containers[0]).toMatchObject({
      type: 'lxc',
      obstacle: null,
      config: 'lxc.container.conf',
      root: 'root.squashfs',
      volumes: ['more.squashfs'],
      storage: new Map([
        ['lxc-overlay', 'boot'],
        ['/data', 'permanent'],
      ]),
    });
    expect(problems.map(({ severity, pointer }) => `${severity} ${pointer}`)).toEqual([
      'notice /root-volume',
      'notice /drivers/required',
      'error /volumes/1',
      'notice /storage/~1data/disk',
    ]);
    for (const gone of ['config', 'root-volume']) {
      const { containers } = runtimeSettings(revision({ ...run, [gone]: undefined }));
      expect(containers[0]?.obstacle).toContain(`"${gone}"`);
    }
    const mounted = { 'root-volume': 'root.squashfs', status_goal: 'MOUNTED' };
    expect(runtimeSettings(revision(mounted)).containers[0]).toMatchObject({
      type: 'lxc',
      obstacle: null,
    });
  });

  test('a network that can’t be read does not leave it in the host’s', () => {
    for (const network of [7, { mode: 'nowhere' }, { pool: '' }, { mode: 'pool' }]) {
      const { containers, problems } = runtimeSettings(revision({ exec: EXEC, network }));
      expect(problems).not.toEqual([]);
      expect(containers[0]?.obstacle).toContain('network');
    }
  });

  test('a type that no engine runs is told', () => {
    const { containers, problems } = runtimeSettings(revision({ type: 'wasm' }));
    expect(problems).toMatchObject([{ pointer: '/type' }]);
    expect(containers[0]?.obstacle).toContain('namespace, lxc');
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
      statusGoal: 'STARTED',
      restartPolicy: 'system',
    });
  });

  property('whatever stands in the two files, there are settings', async (holds) => {
    const keys = [
      ...['exec', 'group', 'status_goal', 'restart_policy', 'roles', 'network', 'type', 'config'],
      ...['root-volume', 'volumes', 'storage', 'auto_recovery', 'drivers'],
    ];
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
