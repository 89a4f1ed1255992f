/** examples/wayland under pv-appengine. */
import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const EXAMPLE = fileURLToPath(new URL('../../../examples/wayland', import.meta.url));

describe.runIf(has('weston') && has('wayland-info'))('the wayland example', () => {
  const engine = new AppEngineProcess();
  beforeAll(async () => {
    cpSync(EXAMPLE, engine.revision, { recursive: true });
    await engine.start();
  });
  afterAll(() => engine.remove());

  test('opens a window of one container on the compositor of another', async () => {
    await eventually(() => expect(engine.console('window-app')).toContain('I had a window'), {
      timeoutMs: 15_000,
    });
    expect(engine.console('window-app')).toMatch(/the compositor has \d\d interfaces/);
    const { body } = await engine.get('/xconnect-graph');
    expect(body).toMatchObject([{ state: 'established', target: '/run/wayland-0' }]);
  });
});
