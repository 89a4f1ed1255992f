/** examples/drm and examples/input under pv-appengine, as far as a machine without such devices goes. */
import { execFileSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppEngineProcess } from '../../integration/runtime/appengine-process.js';
import { eventually } from '../../support/wait.js';

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url));
const within = { timeoutMs: 15_000 };

describe('the examples of devices', () => {
  let engine: AppEngineProcess;
  beforeEach(() => {
    engine = new AppEngineProcess();
  });
  afterEach(() => engine.remove());

  async function start(name: string): Promise<void> {
    cpSync(`${EXAMPLES}/${name}`, engine.revision, { recursive: true });
    await engine.start();
  }

  async function expectSaid(container: string, text: string): Promise<void> {
    await eventually(() => expect(engine.console(container)).toContain(text), within);
  }

  async function expectEstablished(): Promise<void> {
    await eventually(async () => {
      const { body } = await engine.get('/xconnect-graph');
      const states = new Set(body.map(({ state }: { state: string }) => state));
      expect([...states]).toEqual(['established']);
    }, within);
  }

  test('drm plants the renderer, and says why there is no screen', async () => {
    await start('drm');
    await expectSaid(
      'viewer-app',
      'I have /dev/dri/renderD128, character special file e2:80, mode 666',
    );
    await expectEstablished();
    await expectSaid('kiosk-app', 'I have no screen: No such device');
    expect(engine.daemonLog()).toContain(
      '/dev/dri/card0 in gpu-app: there is no device behind it, a drm device was expected.',
    );
  });

  test('drm keeps the screen from whoever is not its master', async () => {
    cpSync(`${EXAMPLES}/drm`, engine.revision, { recursive: true });
    const run = `${engine.revision}/viewer-app/run.json`;
    execFileSync('sed', ['-i', 's/"renderer", "role": "render"/"screen"/', run]);
    await engine.start();
    await eventually(async () => {
      const { body } = await engine.get('/xconnect-graph');
      const link = body.find(({ consumer }: { consumer: string }) => consumer === 'viewer-app');
      expect(link).toMatchObject({ state: 'failed', last_error: { code: 'not-allowed' } });
    }, within);
  });

  test('input says why there is no keyboard', async () => {
    await start('input');
    await expectEstablished();
    await expectSaid('reader-app', 'I have no keyboard');
    expect(engine.daemonLog()).toContain(
      '/dev/input/event0 in keyboard-app: there is no device behind it',
    );
  });
});
