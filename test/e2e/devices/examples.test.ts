/** examples/drm and examples/input under pv-appengine, as far as a machine without such devices goes. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { eventually } from '../../support/wait.js';

describe('the examples of devices', () => {
  let engine: AppEngineProcess;
  beforeEach(() => {
    engine = new AppEngineProcess();
  });
  afterEach(() => engine.remove());

  test('drm plants the renderer, and says why there is no screen', async () => {
    await engine.startExample('drm');
    await engine.untilSaid(
      'viewer-app',
      'I have /dev/dri/renderD128, character special file e2:80, mode 666',
    );
    await engine.connected();
    await engine.untilSaid('kiosk-app', 'I have no screen: No such device');
    expect(engine.daemonLog()).toContain(
      '/dev/dri/card0 in gpu-app: there is no device behind it, a drm device was expected.',
    );
  });

  test('drm keeps the screen from whoever is not its master', async () => {
    engine.copyExample('drm');
    const run = `${engine.revision}/viewer-app/run.json`;
    execFileSync('sed', ['-i', 's/"renderer", "role": "render"/"screen"/', run]);
    await engine.start();
    await eventually(
      async () => {
        const { body } = await engine.get('/xconnect-graph');
        const link = body.find(({ consumer }: { consumer: string }) => consumer === 'viewer-app');
        expect(link).toMatchObject({ state: 'failed', last_error: { code: 'not-allowed' } });
      },
      { timeoutMs: 15_000 },
    );
  });

  test('input says why there is no keyboard', async () => {
    await engine.startExample('input');
    await engine.connected();
    await engine.untilSaid('reader-app', 'I have no keyboard');
    expect(engine.daemonLog()).toContain(
      '/dev/input/event0 in keyboard-app: there is no device behind it',
    );
  });
});
