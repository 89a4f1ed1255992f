import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Supervisor, type SupervisorOptions } from '../../../src/runtime/supervisor.js';
import { eventually } from '../../support/wait.js';
import { ModelProgram } from './model-program.js';

let program: ModelProgram;
let supervisor: Supervisor;
let news: string[];

function supervise(options: Partial<SupervisorOptions> = {}): void {
  program = new ModelProgram();
  supervisor = new Supervisor({
    launch: () => program.launch(),
    graceMs: 10_000,
    maxWaitMs: 1_000,
    ...options,
  });
  news = [];
  supervisor.on('news', (text) => news.push(text));
}

const facts = () => [supervisor.state, supervisor.isUp, supervisor.pid];

beforeEach(() => supervise());
afterEach(async () => {
  await supervisor.close();
  expect(program.alive).toBe(0);
});

describe('a supervisor', () => {
  test('launches, stops, and says so', async () => {
    expect(facts()).toEqual(['DOWN', false, 0]);
    await supervisor.start();
    expect(facts()).toEqual(['RUNNING', true, 101]);
    await supervisor.stop();
    expect(facts()).toEqual(['DOWN', false, 0]);
    expect(news).toEqual(['is running, pid 101.', 'is stopped.']);
  });

  test('tells each change of the pid', async () => {
    const pids: number[] = [];
    supervisor.on('pid', () => pids.push(supervisor.pid));
    await supervisor.start();
    await supervisor.restart();
    expect(pids).toEqual([101, 0, 102]);
  });

  test('launches again what ended by itself', async () => {
    await supervisor.start();
    program.end('exit code 3');
    await eventually(() => expect(facts()).toEqual(['RUNNING', true, 102]));
    expect(news[1]).toBe('ended (exit code 3); it is started again at once.');
  });

  test('tries again what could not be launched, after ever longer waits', async () => {
    program.failures = 3;
    await supervisor.start();
    expect(facts()).toEqual(['WAITING', true, 0]);
    await eventually(() => expect(supervisor.state).toBe('RUNNING'));
    expect(news).toEqual([
      'did not start: no luck; it is started again at once.',
      'did not start: no luck; it is started again in 0.1 s.',
      'did not start: no luck; it is started again in 0.2 s.',
      'is running, pid 104.',
    ]);
  });

  test('waits longer and longer for what takes long to fail, too', async () => {
    let now = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    onTestFinished(() => clock.mockRestore());
    supervise({
      launch: () => {
        now += 30_000;
        return program.launch();
      },
    });
    program.failures = 2;
    await supervisor.start();
    await eventually(() => expect(supervisor.state).toBe('RUNNING'));
    expect(news.slice(0, 2)).toEqual([
      'did not start: no luck; it is started again at once.',
      'did not start: no luck; it is started again in 0.1 s.',
    ]);
  });

  test('gives up what can never be launched, until it is told to start it', async () => {
    let mayRecover = false;
    supervise({ mayRecover: () => mayRecover });
    program.failures = 1;
    await supervisor.start();
    expect(facts()).toEqual(['DOWN', false, 0]);
    expect(news).toEqual(['did not start: no luck; it is not started again.']);
    await supervisor.start();
    mayRecover = true;
    program.end('exit code 1');
    await eventually(() => expect(supervisor.pid).toBe(103));
  });

  test('stops what waits to be launched: no launch follows', async () => {
    program.failures = 2;
    await supervisor.start();
    await supervisor.stop(); // in the turn of the event loop in which the wait ends, too
    await new Promise((resolve) => setImmediate(resolve));
    await supervisor.stop();
    expect([supervisor.state, program.launches]).toEqual(['DOWN', 1]);
  });

  test('stops what is being launched', async () => {
    const starting = supervisor.start();
    await supervisor.stop();
    await starting;
    expect([supervisor.state, program.launches, program.alive]).toEqual(['DOWN', 1, 0]);
  });

  test('says at once that it stops what is being launched, and never that it starts it again', async () => {
    program.failures = 1;
    const starting = supervisor.start();
    await new Promise((resolve) => process.nextTick(resolve));
    expect(supervisor.state).toBe('STARTING');
    const stopping = supervisor.stop();
    expect(facts()).toEqual(['STOPPING', false, 0]);
    await Promise.all([starting, stopping]);
    expect(news).toEqual(['did not start: no luck; it is not started again.']);
    expect(facts()).toEqual(['DOWN', false, 0]);
  });

  test('kills what does not end when it is asked to', async () => {
    supervise({ graceMs: 1 });
    program.isStubborn = true;
    await supervisor.start();
    await supervisor.stop();
    expect([supervisor.state, program.alive]).toEqual(['DOWN', 0]);
  });

  test('does what it is told in the order in which it is told', async () => {
    await Promise.all([
      supervisor.start(),
      supervisor.start(),
      supervisor.restart(),
      supervisor.stop(),
      supervisor.start(),
      supervisor.stop(),
    ]);
    expect([supervisor.state, program.launches, program.alive]).toEqual(['DOWN', 3, 0]);
    await Promise.all([supervisor.stop(), supervisor.start()]);
    expect(facts()).toEqual(['RUNNING', true, 104]);
  });

  test('that is closed in the middle of a restart launches nothing', async () => {
    await supervisor.start();
    const restarting = supervisor.restart();
    await supervisor.close();
    await restarting;
    await supervisor.start();
    expect([supervisor.state, program.launches]).toEqual(['DOWN', 1]);
  });
});
