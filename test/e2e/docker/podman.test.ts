/**
 * The same with Podman, whose interface is Docker's with other words here and there: what it calls its events, which
 * id a container without an image has, how the cgroups of a pod are called.
 */
import { describe, expect, test } from 'vitest';
import { IMAGE } from '../../support/engines/docker.js';
import { PodmanEngine } from '../../support/engines/podman.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { DockerMesh, docker, PROVIDE, REQUIRE, SERVE, TARGET, useDocker, WAIT } from './support.js';

const LINK = 'consumer raw provider established';
const WAITING = 'consumer raw provider waiting';

describe.runIf(docker() && has('podman') && has('catatonit'))(
  'a link between containers of Podman',
  { timeout: 60_000 },
  () => {
    const podman = new PodmanEngine();
    const mesh = useDocker(new DockerMesh({ engine: podman }));
    const command = (...args: string[]) => mesh.engine.docker(...args);
    const ask = (text: string, from = 'consumer') => mesh.peer(from, 'ask', TARGET, text);
    const both = async () => {
      mesh.run('consumer', WAIT, { labels: { ...REQUIRE, 'pv.require.raw.role': '1234' } });
      mesh.run('provider', SERVE, { labels: PROVIDE });
      await mesh.until(LINK);
    };

    test('is made after the start, and follows a kill, a restart, a pause, a new name and the end', async () => {
      await both();
      await eventually(() => expect(ask('hello')).toBe('1234 1234 hello'));
      command('kill', 'provider');
      await mesh.until(WAITING);
      command('start', 'provider');
      await mesh.until(LINK);
      command('restart', '--time', '0', 'consumer');
      await mesh.until(LINK);
      await eventually(() => expect(ask('again')).toBe('1234 1234 again'));
      command('pause', 'provider');
      await mesh.until(WAITING);
      command('unpause', 'provider');
      await mesh.until(LINK);
      command('rename', 'consumer', 'customer');
      await mesh.until('customer raw provider established');
      command('rm', '--force', 'provider');
      await mesh.until('customer raw  unmet');
    });

    test('lives on while its service ends, as it does where nobody asks it', async () => {
      await both();
      const talk = mesh.talk('consumer');
      talk.say('before');
      await talk.heard('1234 1234 ');
      const [before] = await mesh.daemon.shown();
      await mesh.engine.end();
      await mesh.untilLogged("The container engine's socket: ");
      await mesh.engine.start();
      await mesh.untilLogged('the graph can be read again');
      mesh.run('another', WAIT, { labels: REQUIRE });
      const shown = await mesh.until(LINK, 'another raw provider established');
      const after = shown.find(({ consumer }) => consumer === 'consumer');
      expect(after?.provider_pid).toBe(before?.provider_pid);
      expect(ask('hello', 'another')).toBe('0 0 hello');
      talk.end();
    });

    test('is made in a pod, whose own labels are those of a container, too', async () => {
      podman.podman(
        'pod',
        'create',
        '--name',
        'pod',
        '--network',
        'none',
        '--label',
        'pv.require.raw=',
      );
      const labels = Object.entries(PROVIDE).map(([label, text]) => `--label=${label}=${text}`);
      const flags = ['--detach', '--name', 'provider', '--pod', 'pod', '--tmpfs', '/run/example'];
      podman.podman('run', ...flags, ...labels, IMAGE, '/peer', ...SERVE);
      try {
        const [infra] = command('ps', '--format', '{{.Names}}')
          .split('\n')
          .filter((name) => name !== 'provider');
        await mesh.until(`${infra} raw provider established`);
      } finally {
        podman.podman('pod', 'rm', '--force', 'pod');
      }
    });

    test('is made for a container without an image, and none by the labels of an image', async () => {
      const image = 'pvx-greedy:test';
      mesh.engine.import(mesh.image, image, "--change 'LABEL pv.require.raw='");
      mesh.run('provider', SERVE, { labels: PROVIDE });
      mesh.run('greedy', WAIT, { image });
      await mesh.untilLogged('container greedy, label pv.require.raw: found a label of its image');
      const flags = [
        '--detach',
        '--name',
        'bare',
        '--network',
        'none',
        '--label',
        'pv.require.raw=',
      ];
      podman.podman('run', ...flags, '--rootfs', mesh.image.folder, '/peer', ...WAIT);
      await mesh.until('bare raw provider established');
    });
  },
);
