/** Descriptors that a launcher leaks: no process of ours inherits one. */
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestDaemon } from '../../support/daemon.js';
import { openFiles } from '../../support/open-files.js';
import { childrenOf, descendantsOf, statusOf } from '../../support/processes.js';
import { pythonOf } from '../../support/python.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { AppEngineProcess } from '../runtime/appengine-process.js';

const LEAKY = ['python3', '-c', pythonOf(import.meta.url, 'seccomp.py', 'leaky.py')];

/** Pids of the processes that have it open. */
function holdersOf(path: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => targetsOf(pid).includes(path)).map(Number);
}

function targetsOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  } catch {
    return []; // gone
  }
}

const namesBelow = (pid: number) => descendantsOf(pid).map((child) => statusOf(child)('Name'));

describe.runIf(isRoot())('descriptors that were left open', () => {
  let folder: string;
  let leaked: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pvx-leak-'));
    leaked = join(folder, 'secret');
    writeFileSync(leaked, '');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test.each(['new', 'old'])('are with no process of ours, on a %s kernel', async (kernel) => {
    const daemon = new TestDaemon([], { prefix: [...LEAKY, leaked, kernel] });
    try {
      await daemon.launch();
      expect(namesBelow(daemon.pid)).toEqual(['pvx-broker', 'pvx-relay', 'node']);
      expect(holdersOf(leaked)).toEqual([]);
      for (const pid of [daemon.pid, ...childrenOf(daemon.pid)]) {
        expect(openFiles(pid).find(({ fd }) => fd === 0)?.target).toBe('/dev/null');
      }
    } finally {
      await daemon.stop();
    }
  });

  test.runIf(has('dbus-daemon') && has('unshare')).each(['new', 'old'])(
    'are with nothing that pv-appengine starts, on a %s kernel',
    async (kernel) => {
      const engine = new AppEngineProcess();
      engine.write({
        'server/run.json': { exec: ['sleep', '600'] },
        'server/services.json': [
          { name: 'foo', type: 'dbus', owns: 'org.example.Foo', role: 'foo' },
        ],
        'client/run.json': {
          exec: ['sleep', '600'],
          services: { required: [{ name: 'system-bus', role: 'bar' }] },
        },
      });
      try {
        await engine.start([], [...LEAKY, leaked, kernel]);
        const { pid = 0 } = engine.process;
        await eventually(() => {
          const names = namesBelow(pid);
          const wanted = [
            'pv-xconnect',
            'pvx-broker',
            'pvx-relay',
            'pvx-bus',
            'dbus-daemon',
            'sleep',
            'unshare',
          ];
          expect(wanted.filter((name) => !names.includes(name))).toEqual([]);
        });
        expect(holdersOf(leaked)).toEqual([pid]);
      } finally {
        await engine.remove();
      }
    },
  );
});
