/**
 * Every type of link, between containers that pv-appengine runs: on `namespace`, and from a pvrexport on `lxc`. Programs
 * and clients are real, but for a GPU: its nodes are made by mknod, and nothing is behind them.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Image } from '../../support/engines/image.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { type Containers, ENGINES, example, hasEngine, useRevision } from './revision.js';

const TARGETS = '/run/pv/services';
const NAME = 'org.example.Thermostat';
const SERVER = `
import http from 'node:http';
http.createServer(({ url, headers }, answer) => {
  answer.end(JSON.stringify([url, headers['x-forwarded-proto']]));
}).listen(80, '127.0.0.1');`;
const HEATING = 'org.example.Heating';

function peer(): Buffer {
  const image = new Image();
  try {
    return readFileSync(join(image.folder, 'peer'));
  } finally {
    image.remove();
  }
}

function containers(): Containers {
  const files = { peer: peer() };
  return {
    'unix-server': {
      files,
      exec: ['sh', '-c', 'mkdir /run/example; exec /app/peer serve /run/example/raw.sock'],
      services: [{ name: 'raw', type: 'unix', socket: '/run/example/raw.sock' }],
    },
    'unix-client': { files, required: [{ name: 'raw', role: '1234' }] },
    'tcp-server': {
      files,
      exec: ['/app/peer', 'listen', '7'],
      services: [{ name: 'echo', type: 'tcp', port: 7 }],
    },
    'tcp-client': { files, required: [{ name: 'echo', target: '127.0.0.1:8007' }] },
    'http-server': {
      files: { 'server.mjs': SERVER },
      exec: ['node', '/app/server.mjs'],
      services: [{ name: 'site', type: 'http', port: 80 }],
    },
    'http-client': { required: [{ name: 'site', target: '127.0.0.1:8080/site' }] },
    'rest-server': example('rest', 'thermostat'),
    'rest-client': { required: [{ name: 'thermostat', role: 'operator' }] },
    'rest-guest': { required: [{ name: 'thermostat', role: 'guest' }] },
    'dbus-server': example('dbus', 'house'),
    'dbus-client': { required: [{ name: 'house-bus', role: 'operator' }] },
    'dbus-guest': { required: [{ name: 'house-bus', role: 'guest' }] },
    'hosted-server': example('dbus-hosted', 'thermostat'),
    'hosted-client': example('dbus-hosted', 'operator'),
    'hosted-guest': example('dbus-hosted', 'visitor'),
    'gpu-server': {
      ...example('drm', 'gpu-app'),
      services: [{ name: 'renderer', type: 'drm', socket: '/dev/dri/renderD128' }],
    },
    'gpu-client': { files, required: [{ name: 'renderer', role: 'render' }] },
    'wayland-server': example('wayland', 'compositor-app'),
    'wayland-client': { required: [{ name: 'display' }] },
  };
}

const programs = [
  'cc',
  'curl',
  'dbus-daemon',
  'dbus-send',
  'weston',
  'weston-simple-shm',
  'wayland-info',
];

describe.each(ENGINES)('on the engine %s', (engine) => {
  describe.runIf(hasEngine(engine) && programs.every(has))('a link of the type', () => {
    const revision = useRevision(engine, containers);

    test('unix carries the role of the consumer, and is made again after each end was restarted', async () => {
      const ask = () =>
        revision.ask('unix-client', '/app/peer', 'ask', `${TARGETS}/raw.sock`, 'hello');
      await revision.linked('unix-client');
      expect(await ask()).toBe('1234 1234 hello');
      for (const name of ['unix-client', 'unix-server']) {
        await revision.restart(name);
        await eventually(async () => expect(await ask()).toBe('1234 1234 hello'));
      }
    });

    test('tcp carries bytes between networks that have nothing in common', async () => {
      await revision.linked('tcp-client');
      expect(await revision.ask('tcp-client', '/app/peer', 'call', '8007', 'hello')).toBe('hello');
    });

    test('http leads to the server of another network, below its path', async () => {
      await revision.linked('http-client');
      const curl = ['curl', '-sS', '--max-time', '10', 'http://127.0.0.1:8080/site/x?y'];
      expect(JSON.parse(await revision.ask('http-client', ...curl))).toEqual(['/x?y', 'http']);
    });

    test('rest names its consumer, and refuses what its role may not', async () => {
      const curl = (container: string, ...args: string[]) =>
        revision.ask(
          container,
          ...['curl', '-sS', '--max-time', '10', '--unix-socket', `${TARGETS}/thermostat.sock`],
          ...args,
        );
      await revision.linked('rest-client');
      await revision.linked('rest-guest');
      const put = await curl('rest-client', '-X', 'PUT', '-d', '21', 'http://localhost/target');
      expect(JSON.parse(put)).toMatchObject({ you: 'rest-client', role: 'operator' });
      expect(await curl('rest-guest', 'http://localhost/target')).toContain(
        'No rule of thermostat',
      );
    });

    test('dbus lets a role call what its policy has, and nothing else', async () => {
      const send = (container: string, method: string, ...args: string[]) =>
        revision.run(
          container,
          ...['dbus-send', `--bus=unix:path=${TARGETS}/house-bus.sock`, '--print-reply=literal'],
          ...[`--dest=${HEATING}`, '/', `${HEATING}.${method}`, ...args],
        );
      await revision.linked('dbus-client');
      await revision.linked('dbus-guest');
      await revision.runtime.untilSaid('dbus-server', `owns ${HEATING}`);
      expect((await send('dbus-client', 'SetTarget', 'double:21')).stdout).toMatch(/double 21/);
      expect((await send('dbus-guest', 'Temperature')).stdout).toMatch(/double 19.5/);
      const refused = await send('dbus-guest', 'SetTarget', 'double:99');
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/AccessDenied/)]);
    });

    test('dbus on the hosted bus starts who is called, and keeps out who is not allowed', async () => {
      await revision.runtime.untilSaid('hosted-client', 'the thermostat is set to 20.5');
      await revision.runtime.untilSaid('hosted-server', `owns ${NAME}`);
      await revision.runtime.untilSaid('hosted-guest', 'org.freedesktop.DBus.Error.AccessDenied');
    });

    test('drm has the node of the provider appear in the consumer', async () => {
      await revision.linked('gpu-client');
      const look = ['/app/peer', 'look', '/dev/dri/renderD128'];
      // Opened, it says that there is no hardware: this machine has no GPU.
      expect(await revision.ask('gpu-client', ...look)).toBe(
        '226:128 666 0:0 No such device or address',
      );
    });

    test('wayland opens a window of one container on the compositor of another', async () => {
      await revision.linked('wayland-client');
      const env = ['env', 'XDG_RUNTIME_DIR=/run', 'WAYLAND_DISPLAY=wayland-0'];
      expect(await revision.ask('wayland-client', ...env, 'wayland-info')).toMatch(/wl_compositor/);
      const draw = ['timeout', '--foreground', '--preserve-status', '-s', 'INT', '1'];
      const client = await revision.run('wayland-client', ...env, ...draw, 'weston-simple-shm');
      expect(client).toMatchObject({ code: 0, stderr: expect.stringContaining('exiting') });
    });
  });
});
