/** examples/docker: what its README promises, with an image of this machine's own programs. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { makeNodeImage, put } from './node-image.js';
import { DockerMesh, docker, line } from './support.js';

const EXAMPLE = join(PACKAGE_ROOT, 'examples/docker');
const textOf = (name: string) => readFileSync(join(EXAMPLE, name), 'utf8');

/** What the Dockerfile makes, without a registry. */
function makeImage(folder: string): void {
  makeNodeImage(folder);
  const modules = new Set<string>();
  const add = (name: string) => {
    const at = join(PACKAGE_ROOT, 'node_modules', name);
    if (modules.has(name)) return;
    modules.add(name);
    put(folder, at, join('/app/node_modules', name));
    const { dependencies = {} } = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8'));
    for (const one of Object.keys(dependencies)) add(one);
  };
  add('dbus-next');
  for (const name of ['dbus-hosted', 'ingress', 'unix']) {
    put(folder, join(PACKAGE_ROOT, 'examples', name), join('/app', name));
  }
}

/** `pv.…=…` of a file, as often as each stands there. */
const labelsIn = (text: string) =>
  [...text.matchAll(/['\s](pv\.[^'\n]+?=[^'\n]*)/g)].map(([, label]) => label).sort();

test('examples/docker says the same to Compose and to up.sh', () => {
  const labels = labelsIn(textOf('compose.yaml'));
  expect(labels).toHaveLength(13);
  expect(labelsIn(textOf('up.sh'))).toEqual(labels);
});

describe.runIf(docker() && has('dbus-daemon'))('examples/docker', { timeout: 60_000 }, () => {
  const folder = join(tmpdir(), `pvx-docker-example-${process.pid}`);
  const mesh = new DockerMesh({ daemonFlags: ['--ingress', join(EXAMPLE, 'ingress.json')] });
  const up = (...args: string[]) =>
    execFileSync(join(EXAMPLE, 'up.sh'), args, {
      env: { ...process.env, DOCKER_HOST: mesh.engine.host },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  beforeAll(async () => {
    await mesh.start();
    makeImage(folder);
    mesh.engine.import({ folder }, 'pv-xconnect-examples', "--change 'WORKDIR /app'");
    up();
  }, 120_000);
  afterAll(async () => {
    await mesh.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 90_000);

  const joined = () =>
    mesh.until(
      'guest greeting greeter established',
      ...['operator', 'thermostat', 'visitor'].map((name) => `${name} system-bus _pv_ established`),
      ...['site', 'api', 'echo'].map((name) => `EXTERNAL ${name} ${name} established`),
    );
  const gone = () =>
    mesh.until('EXTERNAL api  unmet', 'EXTERNAL echo  unmet', 'EXTERNAL site  unmet');
  const printed = (service: string, text: string) =>
    eventually(() => expect(mesh.engine.docker('logs', `shop-${service}-1`)).toContain(text), {
      timeoutMs: 20_000,
      intervalMs: 200,
    });

  test('joins all of its services', async () => {
    await joined();
    await mesh.untilLogged('1 more containers of its service (shop-greeter-');
  });

  test('has two web servers behind one port', async () => {
    const ask = (path: string) => fetch(`http://127.0.0.1:8080${path}`);
    expect(await (await ask('/api/hello')).json()).toMatchObject({ you: '127.0.0.1' });
    expect(await (await ask('/')).text()).toContain('<html');
  });

  test('lets the guest greet, also when the greeter that answered is stopped', async () => {
    await printed('guest', 'the server says: Hello ');
    const serving = /container (shop-greeter-\d): found 1 more/.exec(mesh.daemon.log)?.[1] ?? '';
    mesh.engine.docker('kill', serving);
    const other = serving.endsWith('1') ? 'shop-greeter-2' : 'shop-greeter-1';
    const id = mesh.engine.docker('inspect', '--format', '{{.Config.Hostname}}', other);
    await printed('guest', `this is ${id}.`);
  });

  test('lets the operator call the thermostat, and the visitor not', async () => {
    await printed('operator', 'the thermostat is set to ');
    await printed('visitor', 'AccessDenied');
  });

  test('is gone after "down"', async () => {
    up('down');
    await gone();
  });

  test.runIf(has('docker-compose'))('is the same by Compose, scaled up and down', async () => {
    // Debian has the first version, which knows no name of a project in its file.
    const file = join(folder, 'compose.yaml');
    writeFileSync(file, textOf('compose.yaml').replace(/^name: .*$/m, ''));
    const compose = (...args: string[]) =>
      execFileSync('docker-compose', ['--project-name', 'shop', '--file', file, ...args], {
        env: { ...process.env, DOCKER_HOST: mesh.engine.host },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    compose('up', '--detach', '--no-build');
    await joined();
    await mesh.untilLogged('1 more containers of its service (shop_greeter_');
    compose('up', '--detach', '--no-build', '--scale', 'guest=2', '--scale', 'greeter=1', 'guest');
    await eventually(async () => {
      const shown = (await mesh.daemon.shown()).map(line);
      expect(shown).toContain('guest greeting greeter established');
      expect(shown).toContain('shop_guest_2 greeting greeter established');
    });
    compose('up', '--detach', '--no-build', '--scale', 'guest=1', 'guest');
    await joined();
    compose('down', '--timeout', '1');
    await gone();
  });
});
