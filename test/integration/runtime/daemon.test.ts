import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { AppEngineProcess } from './appengine-process.js';

const GREETING = 'the server says: Hello client-app, this is server-app.\n';

/** Each test goes on from where the one before it left the containers: all of them running. */
describe.runIf(isRoot())('the unix example under pv-appengine and the real daemon', () => {
  const engine = new AppEngineProcess();

  beforeAll(async () => {
    await engine.startExample('unix');
  });
  afterAll(() => engine.remove());

  const greetings = () => engine.console('client-app').split(GREETING).length - 1;

  async function expectNewGreeting(): Promise<void> {
    const before = greetings();
    await eventually(() => expect(greetings()).toBeGreaterThan(before), { timeoutMs: 15_000 });
  }
  const daemon = async () => (await engine.get('/daemons')).body[0];
  const link = async () => (await engine.get('/xconnect-graph')).body[0];
  const put = (path: string, action: string) => engine.ask('PUT', path, { action });

  async function expectEstablished(): Promise<void> {
    await eventually(async () => expect(await link()).toMatchObject({ state: 'established' }), {
      timeoutMs: 10_000,
    });
  }

  test('a greeting crosses, and the graph says established', async () => {
    await expectNewGreeting();
    await expectEstablished();
    expect(await link()).toMatchObject({ consumer: 'client-app', provider: 'server-app' });
    const { body } = await engine.get('/xconnect-status');
    expect(body).toMatchObject([{ consumer: 'client-app', established: true, last_error: null }]);
  });

  test('the daemon, killed, is there again, and so are the greetings', async () => {
    const { pid } = await daemon();
    process.kill(pid, 'SIGKILL');
    await eventually(async () => expect([0, pid]).not.toContain((await daemon()).pid));
    await expectNewGreeting();
    await expectEstablished();
  });

  test('a consumer that comes back has its socket again at once', async () => {
    const started = greetings();
    await put('/containers/client-app', 'restart');
    // It asks as soon as the socket is there, so this is well below the daemon's own interval of 5 s.
    await eventually(() => expect(greetings()).toBeGreaterThan(started), { timeoutMs: 3_000 });
  });

  test('a provider that comes back is found again', async () => {
    await put('/containers/server-app', 'restart');
    await expectNewGreeting();
    await expectEstablished();
  });

  test('the daemon, stopped on request, stays away, and its status is void', async () => {
    const { pid } = await daemon();
    expect((await put('/daemons/nobody', 'stop')).status).toBe(404);
    expect((await put('/daemons/pv-xconnect', 'stop')).body).toEqual({
      name: 'pv-xconnect',
      pid: 0,
      respawn: false,
    });
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(existsSync(engine.control)).toBe(false); // its broker ended before it
    expect((await engine.get('/xconnect-status')).body).toEqual([]);
    expect(await link()).toMatchObject({ state: 'waiting' });
    expect((await put('/daemons/pv-xconnect', 'start')).body.pid).toBeGreaterThan(0);
    await expectNewGreeting();
  });

  test('the daemon, restarted on request, is another process', async () => {
    const { pid } = await daemon();
    const { body } = await put('/daemons/pv-xconnect', 'restart');
    expect([0, pid]).not.toContain(body.pid);
    await expectEstablished();
  });
});
