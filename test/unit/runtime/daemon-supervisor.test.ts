import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DaemonSupervisor } from '../../../src/runtime/daemon-supervisor.js';
import { LogFile } from '../../../src/runtime/log-file.js';
import { eventually } from '../../support/wait.js';

/** Stands in for the daemon: says when it is ready for SIGHUP, says each one, ends at SIGTERM. */
const MODEL = `
process.on('SIGHUP', () => console.log('look'));
process.on('SIGTERM', () => process.exit(0));
console.error('ready ' + process.pid);
setInterval(() => {}, 1000);`;

let folder: string;
let supervisor: DaemonSupervisor;
let news: string[];

function supervise(...argv: string[]): void {
  supervisor = new DaemonSupervisor(argv, new LogFile(join(folder, 'daemon.log')));
  news = [];
  supervisor.on('news', (text) => news.push(text));
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-supervisor-'));
});
afterEach(async () => {
  await supervisor.close();
  rmSync(folder, { recursive: true });
});

const log = () => readFileSync(join(folder, 'daemon.log'), 'utf8');
const ready = () => eventually(() => expect(log()).toContain(`ready ${supervisor.pid}\n`));

describe('the supervisor of the daemon', () => {
  test('launches it, keeps what it says, and stops it', async () => {
    supervise(process.execPath, '-e', MODEL);
    expect([supervisor.pid, supervisor.isUp]).toEqual([0, false]);
    await supervisor.start();
    const { pid } = supervisor;
    expect([pid > 0, supervisor.isUp]).toEqual([true, true]);
    await ready();
    await supervisor.stop();
    expect([supervisor.pid, supervisor.isUp]).toEqual([0, false]);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  test('launches it anew when it was killed, and says that it was gone', async () => {
    supervise(process.execPath, '-e', MODEL);
    const pids: number[] = [];
    supervisor.on('pid', () => pids.push(supervisor.pid));
    await supervisor.start();
    const { pid } = supervisor;
    process.kill(pid, 'SIGKILL');
    await eventually(() => expect([0, pid]).not.toContain(supervisor.pid));
    expect(pids).toEqual([pid, 0, supervisor.pid]);
    expect(news[1]).toBe('ended (signal SIGKILL); it is started again at once.');
    await ready();
  });

  test('restarts it as another process', async () => {
    supervise(process.execPath, '-e', MODEL);
    await supervisor.start();
    const { pid } = supervisor;
    await supervisor.restart();
    expect([0, pid]).not.toContain(supervisor.pid);
  });

  test('waits longer and longer for one that ends at once, until it is stopped', async () => {
    supervise('false');
    await supervisor.start();
    await eventually(() => expect(news.at(-1)).toContain('in 0.2 s'));
    expect(news.filter((text) => text.includes('again')).slice(0, 3)).toEqual([
      'ended (exit code 1); it is started again at once.',
      'ended (exit code 1); it is started again in 0.1 s.',
      'ended (exit code 1); it is started again in 0.2 s.',
    ]);
    await supervisor.stop();
    expect(news.at(-1)).toBe('is stopped.');
  });

  test('goes on where the program is missing', async () => {
    supervise(join(folder, 'nothing'));
    await supervisor.start();
    expect(news[0]).toMatch(/^did not start: .*ENOENT; it is started again at once/);
    expect(supervisor.pid).toBe(0);
  });

  test('nudges it, but not before it is ready: that would end it', async () => {
    supervise(process.execPath, '-e', MODEL);
    supervisor.nudge();
    await supervisor.start();
    const { pid } = supervisor;
    for (let i = 0; i < 20; i++) supervisor.nudge();
    await ready();
    expect(supervisor.pid).toBe(pid);
    supervisor.nudge();
    await eventually(() => expect(log()).toContain('look'));
  });

  test('that is closed in the middle of a restart launches no other', async () => {
    supervise(process.execPath, '-e', MODEL);
    await supervisor.start();
    await ready();
    const restarting = supervisor.restart();
    await supervisor.close();
    await restarting;
    expect(supervisor.pid).toBe(0);
  });
});
