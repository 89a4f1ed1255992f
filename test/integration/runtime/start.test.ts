import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { readIfThere } from './appengine-process.js';

const START = fileURLToPath(new URL('../../../scripts/start.mjs', import.meta.url));

let folder: string;
let said: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-npm-start-'));
  said = '';
});
afterEach(() => rmSync(folder, { recursive: true }));

const left = () => [
  ...readdirSync(folder),
  ...readdirSync('/proc')
    .map((name) => readIfThere(`/proc/${name}/cmdline`))
    .filter((line) => line.includes(folder)),
];

function start(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [START, ...args], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  return child;
}

describe.runIf(isRoot())('npm start', () => {
  test('--once shows one round and the graph, and leaves nothing', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [START, '--once'], {
      encoding: 'utf8',
      env: { ...process.env, TMPDIR: folder },
    });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('the server says: Hello client-app, this is server-app.');
    expect(stdout).toMatch(/client-app +greeting +unix .*established/);
    expect(left()).toEqual([]);
  }, 60_000);

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'goes on until %s, and leaves nothing',
    async (signal) => {
      const child = start();
      await eventually(() => expect(said).toContain('Where to look next'), { timeoutMs: 40_000 });
      await eventually(() => expect(said.split('the server says').length).toBeGreaterThan(2), {
        timeoutMs: 10_000,
      });
      child.kill(signal);
      expect((await once(child, 'exit'))[0]).toBe(0);
      expect(left()).toEqual([]);
    },
    60_000,
  );

  test('killed, takes everything along', async () => {
    const child = start();
    await eventually(() => expect(said).toContain('Where to look next'), { timeoutMs: 40_000 });
    child.kill('SIGKILL');
    await eventually(() => expect(left().filter((line) => line.includes('\0'))).toEqual([]), {
      timeoutMs: 15_000,
    });
  }, 60_000);
});
