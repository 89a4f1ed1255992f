/** examples/dbus as its reader runs it. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppEngineProcess, readIfThere } from '../../integration/runtime/appengine-process.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const EXAMPLE = fileURLToPath(new URL('../../../examples/dbus', import.meta.url));
const isThere = isRoot() && has('dbus-daemon') && has('dbus-send') && has('unshare');

describe.runIf(isThere)('examples/dbus', () => {
  const engine = new AppEngineProcess();
  beforeAll(async () => {
    engine.launch([EXAMPLE]);
    await eventually(() => engine.get('/buildinfo'), { timeoutMs: 15_000 });
  });
  afterAll(() => engine.remove());

  const logOf = (name: string) => readIfThere(join(engine.folder, 'logs/dbus', name));
  const said = (container: string, text: string | RegExp) =>
    eventually(() => expect(logOf(`${container}/console.log`)).toMatch(text), {
      timeoutMs: 20_000,
    });

  test('lets the operator read and set', async () => {
    await said('operator', 'Temperature: 19.5');
    await said('operator', 'SetTarget: 20.5');
  });

  test('lets the guest read, and tells it that it may not set', async () => {
    await said('guest', /Temperature: +double 19.5/);
    await said('guest', /SetTarget: .*The policy does not let you/);
    await eventually(() =>
      expect(logOf('pv-xconnect/pv-xconnect.log')).toContain(
        'guest with the role \\"guest\\" may not call org.example.Heating.SetTarget',
      ),
    );
  });
});
