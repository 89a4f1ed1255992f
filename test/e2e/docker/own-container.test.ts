/** The image of packaging/docker, built from this checkout and run as docs/docker.md says. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { makeNodeImage } from './node-image.js';
import { DockerMesh, docker, PROVIDE, REQUIRE, SERVE, TARGET, WAIT } from './support.js';

const BASE = 'pvx-node:test';

/** The flags of `docker run` on the page, with the socket of the test's engine. */
function flagsOfPage(socket: string): string[] {
  const page = readFileSync(join(PACKAGE_ROOT, 'docs/docker.md'), 'utf8');
  const [, text = ''] =
    /^docker run -d (--name pv-xconnect [^`]*?) pv-xconnect$/ms.exec(page) ?? [];
  const flags = text.split(/[\s\\]+/).filter(Boolean);
  return flags.map((flag) => flag.replace(/^\/var\/run\/docker\.sock:/, `${socket}:`));
}

describe.runIf(docker() && has('busybox'))(
  'pv-xconnect in a container',
  { timeout: 60_000 },
  () => {
    const folder = join(tmpdir(), `pvx-own-container-${process.pid}`);
    const mesh = new DockerMesh();
    const command = (...args: string[]) => mesh.engine.docker(...args);
    beforeAll(async () => {
      await mesh.startEngine();
      makeNodeImage(folder);
      mesh.engine.import({ folder }, BASE);
      execFileSync(join(PACKAGE_ROOT, 'packaging/docker/build.sh'), {
        env: { ...process.env, DOCKER_HOST: mesh.engine.host, BASE },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
    }, 120_000);
    afterEach(() => mesh.clear(), 30_000);
    afterAll(async () => {
      await mesh.stop();
      rmSync(folder, { recursive: true, force: true });
    }, 90_000);

    test('joins the containers beside it, with the flags of the page and no others', async () => {
      mesh.run('provider', SERVE, { labels: PROVIDE });
      mesh.run('consumer', WAIT, { labels: { ...REQUIRE, 'pv.require.raw.role': '1234' } });
      const flags = flagsOfPage(mesh.engine.socket);
      expect(flags).toContain('--cap-add');
      expect(flags).not.toContain('--privileged');
      command('run', '--detach', '--network', 'none', ...flags, 'pv-xconnect');
      await eventually(
        () => expect(mesh.peer('consumer', 'ask', TARGET, 'hello')).toBe('1234 1234 hello'),
        { timeoutMs: 20_000, intervalMs: 200 },
      );
      const graph = command(
        ...['exec', 'pv-xconnect', '/usr/lib/pv-xconnect/bin/pv-xconnect', 'graph', '--json'],
      );
      expect(JSON.parse(graph)).toMatchObject([{ consumer: 'consumer', state: 'established' }]);
    });

    test('names each capability that it was not given', async () => {
      const flags = flagsOfPage(mesh.engine.socket);
      const given = (name: string) => flags.indexOf(name);
      flags.splice(given('SYS_PTRACE') - 1, 2);
      flags.splice(given('DAC_READ_SEARCH') - 1, 2);
      flags.splice(given('--restart'), 2);
      command('run', '--detach', '--network', 'none', ...flags, 'pv-xconnect');
      await eventually(() => {
        const logs = spawnSync('docker', ['--host', mesh.engine.host, 'logs', 'pv-xconnect'], {
          encoding: 'utf8',
        });
        const missing = [
          ...logs.stderr.matchAll(/the capability (\w+) is missing: .* --cap-add (\w+)\./g),
        ];
        expect(missing.map(([, name, flag]) => [name, flag])).toEqual([
          ['DAC_READ_SEARCH', 'DAC_READ_SEARCH'],
          ['SYS_PTRACE', 'SYS_PTRACE'],
        ]);
      });
    });
  },
);
