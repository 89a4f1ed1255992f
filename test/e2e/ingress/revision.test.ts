/** Ingress rules that collide, fail or change: each takes only itself out. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { Device, run } from './town.js';

const SERVE = (text: string, port: number) => ({
  exec: [
    'node',
    '-e',
    `require('node:http').createServer((q, a) => a.end('${text} ' + q.url)).listen(${port}, '127.0.0.1')`,
  ],
  network: { mode: 'none' },
});
const tools = ['ip', 'curl', 'unshare'].every((tool) => has(tool));

describe.runIf(isRoot() && tools)('the ingress of a revision', () => {
  let device: Device;
  beforeEach(() => {
    device = new Device();
    device.write({
      'a/run.json': SERVE('a', 80),
      'a/services.json': [{ name: 'a', type: 'http', port: 80 }],
      'b/run.json': SERVE('b', 80),
      'b/services.json': [{ name: 'b', type: 'http', port: 80 }],
    });
  });
  afterEach(() => device.remove());

  const curl = (at: string) =>
    run(['curl', '-sS', '--max-time', '10', `http://${device.address}:${at}`]);

  test('refuses the later one of two rules that collide, and serves all others', async () => {
    device.write({
      'device.json': {
        ingress: [
          { type: 'http', external: '0.0.0.0:8080/x', service: 'a' },
          { type: 'http', external: '0.0.0.0:8080/x/', service: 'b' },
          { type: 'http', external: '0.0.0.0:8080/y', service: 'b' },
          { type: 'tcp', external: '0.0.0.0:8080', service: 'b' },
          { type: 'tcp', external: '127.0.0.1:8080', service: 'b' },
          { type: 'tcp', external: '0.0.0.0:8081', service: 'b' },
          { type: 'tcp', external: '0.0.0.0:8081', service: 'a' },
        ],
      },
    });
    await device.boot(61);
    await device.connected(4);
    const collisions = device.said.match(/device\.json:\/ingress\/\d: found the target/g);
    expect(collisions?.map((text) => text.at(21))).toEqual(['1', '3', '4', '6']);
    expect(await curl('8080/x/1')).toBe('a /1');
    expect(await curl('8080/y')).toMatch(/^b /);
    expect(await curl('8081/z')).toBe('b /z');
  });

  test('says which address it can’t have, and has the others', async () => {
    device.write({
      'device.json': {
        ingress: [
          { type: 'tcp', external: '203.0.113.1:80', service: 'a' },
          { type: 'tcp', external: '0.0.0.0:8081', service: 'b' },
        ],
      },
    });
    await device.boot(61);
    await eventually(async () => expect(await curl('8081/')).toBe('b /'), { timeoutMs: 15_000 });
    await eventually(async () => {
      const { body } = await device.get('/xconnect-status');
      const [failed] = body.filter(({ established }: { established: boolean }) => !established);
      expect(failed).toMatchObject({ consumer: 'EXTERNAL', name: 'a', target: '203.0.113.1:80' });
      expect(failed.last_error.code ?? failed.last_error).toMatch(
        /target-unreachable|no interface/,
      );
    });
  });
});
