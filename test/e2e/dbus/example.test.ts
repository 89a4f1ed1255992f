import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const isThere = isRoot() && has('dbus-daemon') && has('dbus-send') && has('unshare');

describe.runIf(isThere)('examples/dbus', () => {
  const engine = new AppEngineProcess();
  beforeAll(async () => {
    await engine.startExample('dbus');
  });
  afterAll(() => engine.remove());

  test('lets the operator read and set', async () => {
    await engine.untilSaid('operator', 'Temperature: 19.5');
    await engine.untilSaid('operator', 'SetTarget: 20.5');
  });

  test('lets the guest read, and tells it that it may not set', async () => {
    await engine.untilSaid('guest', /Temperature: +double 19.5/);
    await engine.untilSaid('guest', /SetTarget: .*The policy does not let you/);
    await eventually(() =>
      expect(engine.daemonLog()).toContain(
        'guest with the role \\"guest\\" may not call org.example.Heating.SetTarget',
      ),
    );
  });
});
