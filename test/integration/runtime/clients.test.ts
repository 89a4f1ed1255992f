import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { AppEngineProcess } from './appengine-process.js';

const REQUEST = 'GET /xconnect-graph HTTP/1.0\r\n\r\n';

describe.runIf(isRoot())('the everyday clients of pv-ctrl', () => {
  const engine = new AppEngineProcess();

  beforeAll(async () => {
    engine.write({
      'server/run.json': { exec: ['sleep', '600'], group: 'app' },
      'server/services.json': [{ name: 'raw', type: 'unix', socket: '/run/example/raw.sock' }],
      'client/run.json': { exec: ['sleep', '600'], group: 'app', services: { required: ['raw'] } },
    });
    await engine.start(['--no-daemon']);
    await engine.pidOf('client');
    await engine.pidOf('server');
  });
  afterAll(() => engine.remove());

  async function graph(): Promise<unknown> {
    return (await engine.get('/xconnect-graph')).body;
  }

  /** Output of a shell line; it must end by itself. */
  function shell(line: string): string {
    const { stdout, stderr, status } = spawnSync('sh', ['-c', line], {
      encoding: 'utf8',
      timeout: 10_000,
      env: { ...process.env, CTRL: engine.pvCtrl, REQUEST },
    });
    expect([status, stderr]).toEqual([0, '']);
    return stdout;
  }

  const bodyOf = (answer: string) => JSON.parse(answer.split('\r\n\r\n')[1] as string);

  test.runIf(has('nc'))('nc, which half-closes only with -N, gets the whole answer', async () => {
    for (const flag of ['', '-N']) {
      const answer = shell(`printf %s "$REQUEST" | nc ${flag} -U "$CTRL"`);
      expect(answer).toMatch(/^HTTP\/1\.[01] 200 OK\r\n/);
      expect(bodyOf(answer)).toEqual(await graph());
    }
  });

  test.runIf(has('nc'))('nc gets an answer that takes its time, half-closed or not', () => {
    for (const flag of ['', '-N']) {
      const body = '{"action":"restart"}';
      const put = `PUT /containers/client HTTP/1.0\\r\\nContent-Length: ${body.length}\\r\\n\\r\\n${body}`;
      const answer = shell(`printf '${put}' | nc ${flag} -U "$CTRL"`);
      expect(bodyOf(answer)).toMatchObject({ name: 'client', status: 'STARTED' });
    }
  });

  test.runIf(has('curl'))('curl reads, posts and controls', async () => {
    const curl = 'curl -sS --unix-socket "$CTRL"';
    expect(JSON.parse(shell(`${curl} http://localhost/xconnect-graph`))).toEqual(await graph());
    const posted = `[{"consumer":"client","name":"raw","target":"/run/pv/services/raw.sock","established":true,"last_error":null}]`;
    shell(`${curl} -d '${posted}' http://localhost/xconnect-status`);
    expect(JSON.parse(shell(`${curl} http://localhost/xconnect-status`))).toEqual(
      JSON.parse(posted),
    );
    expect(await graph()).toMatchObject([{ state: 'established' }]);
    const stop = `${curl} -X PUT -d '{"action":"stop"}' http://localhost/containers/server`;
    expect(JSON.parse(shell(stop))).toMatchObject({ status: 'STOPPED' });
    expect(shell(`${curl} http://localhost/buildinfo`)).toMatch(/^pv-appengine \d/);
  });

  test.runIf(has('socat'))('socat gets the whole answer', async () => {
    const answer = shell(`printf %s "$REQUEST" | socat - "UNIX-CONNECT:$CTRL"`);
    expect(bodyOf(answer)).toEqual(await graph());
  });

  test('the rest of the table answers as Pantavisor does', async () => {
    expect((await engine.get('/daemons')).body).toEqual([]);
    expect((await engine.get('/nothing')).status).toBe(404);
    expect((await engine.ask('DELETE', '/containers')).status).toBe(405);
    expect((await engine.ask('POST', '/xconnect-status', { no: 'array' })).status).toBe(400);
    expect((await engine.ask('PUT', '/daemons/pv-xconnect', { action: 'stop' })).status).toBe(404);
    const { status, body } = await engine.ask('PUT', '/containers/client', 'restart');
    expect([status, body.status]).toEqual([200, 'STARTED']);
  });
});
