import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Container } from '../../../src/runtime/container.js';
import type { ContainerSettings } from '../../../src/runtime/container-settings.js';
import type { Engine, Exit, Running } from '../../../src/runtime/engine.js';
import { LogFile } from '../../../src/runtime/log-file.js';
import { eventually, pause } from '../../support/wait.js';

const SETTINGS: ContainerSettings = {
  name: 'web',
  group: { name: 'app', statusGoal: 'STARTED', restartPolicy: 'container', timeout: 30 },
  statusGoal: 'STARTED',
  restartPolicy: 'container',
  roles: [],
  exec: ['web'],
  ownNetwork: false,
  hostname: 'web',
};

/** Every start takes a turn of the event loop, and the next pid. */
class ModelEngine implements Engine {
  starts = 0;
  alive = 0;
  fails = 0;
  end: (exit: Exit) => void = () => {};

  async start(_settings: ContainerSettings, onOutput: (output: Readable) => void) {
    this.starts++;
    const pid = 100 + this.starts;
    onOutput(Readable.from([Buffer.from(`start ${this.starts}\n`)]));
    await new Promise((resolve) => setImmediate(resolve));
    if (this.fails-- > 0) return 'no luck';
    this.alive++;
    const exited = new Promise<Exit>((resolve) => {
      this.end = (exit) => {
        this.end = () => {};
        this.alive--;
        resolve(exit);
      };
    });
    const stop = () => {
      this.end({ code: null, signal: 'SIGTERM' });
      return exited;
    };
    return { pid, exited, stop } satisfies Running;
  }
}

let folder: string;
let engine: ModelEngine;
let container: Container;
let news: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-container-'));
  engine = new ModelEngine();
  container = new Container(SETTINGS, engine, new LogFile(join(folder, 'console.log')));
  news = [];
  container.on('news', (text) => news.push(text));
});

afterEach(async () => {
  await container.close();
  expect(engine.alive).toBe(0);
  rmSync(folder, { recursive: true });
});

describe('a container', () => {
  test('is installed, started, stopped, and says so', async () => {
    expect([container.status, container.pid]).toEqual(['INSTALLED', 0]);
    await container.start();
    expect([container.status, container.pid]).toEqual(['STARTED', 101]);
    await container.stop();
    expect([container.status, container.pid]).toEqual(['STOPPED', 0]);
    expect(news).toEqual(['is running, pid 101.', 'is stopped.']);
  });

  test('has another pid after a restart, and each change of it is told', async () => {
    const pids: number[] = [];
    container.on('pid', () => pids.push(container.pid));
    await container.start();
    await container.restart();
    expect(pids).toEqual([101, 0, 102]);
  });

  test('that ended by itself is started again', async () => {
    await container.start();
    engine.end({ code: 3, signal: null });
    await eventually(() => expect(container.pid).toBe(102));
    expect(container.status).toBe('STARTED');
    expect(news[1]).toBe('ended (exit code 3); it is started again at once.');
  });

  test('that does not start is tried again, ever more slowly', async () => {
    engine.fails = 2;
    await container.start();
    expect(container.status).toBe('RECOVERING');
    await eventually(() => expect(container.status).toBe('STARTED'));
    expect(news).toEqual([
      'did not start: no luck; it is started again at once.',
      'did not start: no luck; it is started again in 0.1 s.',
      'is running, pid 103.',
    ]);
  });

  test('that is stopped while it recovers stays down', async () => {
    engine.fails = 2;
    await container.start();
    await container.stop();
    expect(container.status).toBe('STOPPED');
    await pause(50); // it would be started again at once
    expect(engine.starts).toBe(1);
  });

  test('that is stopped while it starts is not left running', async () => {
    const starting = container.start();
    await container.stop();
    await starting;
    expect(container.status).toBe('STOPPED');
  });

  test('that is closed in the middle of a restart is not started again', async () => {
    await container.start();
    const restarting = container.restart();
    await container.close();
    await restarting;
    expect([container.status, engine.starts]).toEqual(['STOPPED', 1]);
  });

  test('writes what each run says to one log', async () => {
    await container.start();
    await container.restart();
    await container.close();
    expect(readFileSync(join(folder, 'console.log'), 'utf8')).toBe('start 1\nstart 2\n');
  });
});
