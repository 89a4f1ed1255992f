import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { has } from '../../support/requirements.js';

describe.runIf(has('weston') && has('wayland-info'))('the wayland example', () => {
  const engine = new AppEngineProcess();
  beforeAll(async () => {
    await engine.startExample('wayland');
  });
  afterAll(() => engine.remove());

  test('opens a window of one container on the compositor of another', async () => {
    await engine.untilSaid('window-app', 'I had a window');
    expect(engine.console('window-app')).toMatch(/the compositor has \d\d interfaces/);
    const { body } = await engine.get('/xconnect-graph');
    expect(body).toMatchObject([{ state: 'established', target: '/run/wayland-0' }]);
  });
});
