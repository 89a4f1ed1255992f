/** The daemon behind the proxy that docs/docker.md shows, which passes only what the daemon asks for. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { request } from '../../support/daemon.js';
import { endBy } from '../../support/processes.js';
import { has } from '../../support/requirements.js';
import { DockerMesh, docker, PROVIDE, REQUIRE, SERVE, useDocker, WAIT } from './support.js';

/** The configuration of the page, with the sockets of the test. */
function configuration(proxy: string, engine: string): string {
  const page = readFileSync(join(PACKAGE_ROOT, 'docs/docker.md'), 'utf8');
  const [, text = ''] = /```\n(frontend readonly\n.*?)```/s.exec(page) ?? [];
  return text
    .replace('unix@/run/docker-readonly.sock', `unix@${proxy}`)
    .replace('unix@/var/run/docker.sock', `unix@${engine}`);
}

describe.runIf(docker() && has('haproxy'))(
  'behind a proxy that only reads',
  { timeout: 60_000 },
  () => {
    let folder = '';
    let haproxy: ChildProcess;
    const socket = () => join(folder, 'readonly.sock');
    const via = (engine: string) => {
      folder = mkdtempSync(join(tmpdir(), 'pvx-readonly-'));
      const file = join(folder, 'haproxy.cfg');
      writeFileSync(file, configuration(socket(), engine));
      haproxy = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' });
      return socket();
    };
    const mesh = useDocker(new DockerMesh({ via }));
    afterAll(async () => {
      if (haproxy) await endBy(haproxy, 'SIGTERM');
      rmSync(folder, { recursive: true, force: true });
    }, 30_000);

    test('links are made, and events are followed', async () => {
      mesh.run('provider', SERVE, { labels: PROVIDE });
      mesh.run('consumer', WAIT, { labels: REQUIRE });
      await mesh.until('consumer raw provider established');
      mesh.engine.docker('kill', 'provider');
      await mesh.until('consumer raw provider waiting');
    });

    test('no container can be made, and nothing else be read', async () => {
      mesh.run('consumer', WAIT);
      const id = mesh.engine.docker('inspect', '--format', '{{.Id}}', 'consumer');
      expect(await request(socket(), '/containers/json?all=1')).toHaveLength(1);
      for (const [method, path] of [
        ['POST', '/containers/create'],
        ['POST', `/containers/${id}/exec`],
        ['POST', `/containers/${id}/kill`],
        ['DELETE', `/containers/${id}`],
        ['GET', '/info'],
        ['GET', `/containers/${id}/archive?path=/etc`],
        ['GET', '/containers/json/../../info'],
      ] as const) {
        expect(await request(socket(), path, method), path).toContain('403 Forbidden');
      }
    });
  },
);
