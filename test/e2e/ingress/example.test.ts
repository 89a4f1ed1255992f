import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { has, isRoot } from '../../support/requirements.js';
import { Device, run } from './town.js';

const tools = ['ip', 'curl', 'socat', 'unshare'].every((tool) => has(tool));

describe.runIf(isRoot() && tools)('examples/ingress', () => {
  const device = new Device();
  beforeAll(async () => {
    await device.boot(60, 'ingress');
    await device.connected();
  });
  afterAll(() => device.remove());

  const curl = (path: string, ...args: string[]) =>
    run(['curl', '-sS', '--max-time', '10', ...args, `http://${device.address}:8080${path}`]);
  const console = (...lines: string[]) =>
    run(
      ['socat', '-t10', '-', `TCP:${device.address}:2222`],
      lines.map((line) => `${line}\n`).join(''),
    );

  test('has no problem to report', () => {
    expect(device.said).not.toMatch(/found|did not start/);
  });

  test('serves a page and an API of two containers under one port', async () => {
    expect(await curl('/')).toContain('<title>Four containers, two ports</title>');
    expect(JSON.parse(await curl('/api/hello'))).toEqual({ from: 'api', you: device.client });
    expect(await curl('/apix', '-o', '/dev/null', '-w', '%{http_code}')).toBe('404');
  });

  test('echoes what a WebSocket says', async () => {
    const socket = new WebSocket(`ws://${device.address}:8080/echo`);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    for (const text of ['short', 'x'.repeat(50_000)]) {
      const answer = new Promise((resolve) => socket.once('message', resolve));
      socket.send(text);
      expect(String(await answer)).toBe(text);
    }
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.close(1000);
    expect(await closed).toBe(1000);
  });

  test('has a console that knows who it talks to', async () => {
    const [banner, ...answers] = (await console('hostname', 'sudo')).trimEnd().split('\n');
    expect(banner).toMatch(new RegExp(`^CONSOLE-1.0 console, you are ${device.client}:\\d+$`));
    expect(answers).toEqual(['console', 'no command sudo: try help', 'bye']);
  });

  test('gives the console eight clients at once, and the ninth when one has left', async () => {
    const held = Array.from({ length: 8 }, () => console('hostname'));
    expect(await console('hostname')).toContain('console\nbye\n');
    await Promise.all(held);
  });

  test('goes on with everybody else while one container is restarted', async () => {
    const socket = new WebSocket(`ws://${device.address}:8080/echo`);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    await device.ask('PUT', '/containers/api', { action: 'restart' });
    expect(JSON.parse(await curl('/api/hello', '--retry', '5')).from).toBe('api');
    const answer = new Promise((resolve) => socket.once('message', resolve));
    socket.send('still there?');
    expect(String(await answer)).toBe('still there?');
    socket.terminate();
  });
});
