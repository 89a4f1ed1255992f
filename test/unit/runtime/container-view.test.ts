/** What a container has at /pantavisor: all of it, or it is not started. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ok } from '../../../src/kernel/result.js';
import { ViewEngine } from '../../../src/runtime/container-view.js';
import type { EngineContainer } from '../../../src/runtime/engines/engine.js';
import { Router } from '../../../src/runtime/router.js';
import { settingsOf } from './container-settings.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-view-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('one whose log socket could not be made is not started, and has both sockets the next time', async () => {
  let mounted = 0;
  const inner = {
    mount: async () => {
      mounted++;
      return ok(undefined);
    },
    unmount: async () => undefined,
    start: async () => ({ ok: false as const, why: 'this is a test' }),
  };
  const view = join(folder, 'view');
  const router = new Router({}, []);
  const engine = new ViewEngine(inner, view, () => router, join(folder, 'messages.log'));
  const container: EngineContainer = { settings: settingsOf({}), leases: [], files: {} };
  mkdirSync(join(view, 'pv-ctrl-log'), { recursive: true });
  const refused = await engine.mount(container);
  expect(refused).toEqual({
    ok: false,
    why: expect.stringMatching(/^its \/pantavisor can't be made/),
  });
  expect([mounted, existsSync(join(view, 'pv-ctrl'))]).toEqual([0, false]);
  rmSync(join(view, 'pv-ctrl-log'), { recursive: true });
  expect(await engine.mount(container)).toEqual(ok(undefined));
  expect(['pv-ctrl', 'pv-ctrl-log'].filter((name) => existsSync(join(view, name)))).toHaveLength(2);
  await engine.unmount(container);
});
