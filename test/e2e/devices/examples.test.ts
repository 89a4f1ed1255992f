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

  /** Waits until each consumer's link says that its device is not there. */
  async function missing(devices: Readonly<Record<string, string>>): Promise<void> {
    await eventually(
      async () => {
        const { body } = await engine.get('/xconnect-graph');
        for (const [consumer, device] of Object.entries(devices)) {
          const link = body.find((one: { consumer: string }) => one.consumer === consumer);
          expect(link).toMatchObject({ last_error: { code: 'device-missing' } });
          expect(link.state).not.toBe('established');
          expect(link.last_error.message).toContain(`${device}: there is no device behind it`);
        }
      },
      { timeoutMs: 15_000 },
    );
  }

  test('drm says that there is neither a renderer nor a screen', async () => {
    await engine.startExample('drm');
    await missing({
      'viewer-app': '/dev/dri/renderD128 in gpu-app',
      'kiosk-app': '/dev/dri/card0 in gpu-app',
    });
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
    await missing({ 'reader-app': '/dev/input/event0 in keyboard-app' });
  });
});
