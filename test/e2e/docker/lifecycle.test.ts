/** Links between containers of a real Docker engine, while these start, stop, are paused, renamed and removed. */
import { describe, expect, test } from 'vitest';
import { eventually } from '../../support/wait.js';
import { DockerMesh, docker, PROVIDE, REQUIRE, SERVE, TARGET, useDocker, WAIT } from './support.js';

const LINK = 'consumer raw provider established';
const WAITING = 'consumer raw provider waiting';

describe.runIf(docker())('a link between containers of Docker', { timeout: 60_000 }, () => {
  const mesh = useDocker(new DockerMesh({ flags: ['--live-restore'] }));
  const command = (...args: string[]) => mesh.engine.docker(...args);
  const ask = (text: string, from = 'consumer') => mesh.peer(from, 'ask', TARGET, text);

  const provide = () => mesh.run('provider', SERVE, { labels: PROVIDE });
  const consume = (program = WAIT) =>
    mesh.run('consumer', program, { labels: { ...REQUIRE, 'pv.require.raw.role': '1234' } });

  async function both(): Promise<void> {
    provide();
    consume();
    await mesh.until(LINK);
  }

  test('is made when they start, and carries the role', async () => {
    consume();
    await mesh.untilLogged(
      'container consumer, label pv.require.raw: found no container that exports \\"raw\\"',
    );
    provide();
    await mesh.until(LINK);
    expect(ask('hello')).toBe('1234 1234 hello');
  });

  test('survives restarts of either, and one of the provider leaves the socket in place', async () => {
    await both();
    const [before] = await mesh.daemon.shown();
    command('restart', '--time', '0', 'provider');
    await mesh.until(LINK);
    expect(ask('once')).toBe('1234 1234 once');
    const [after] = await mesh.daemon.shown();
    expect(after?.connections.total).toBe((before?.connections.total ?? 0) + 1);
    command('restart', '--time', '0', 'consumer');
    await mesh.until(LINK);
    expect(ask('twice')).toBe('1234 1234 twice');
  });

  test('waits for a provider that was killed, and a connection with it', async () => {
    await both();
    command('kill', 'provider');
    await mesh.until(WAITING);
    await eventually(async () => {
      const [link] = await mesh.daemon.shown();
      expect(link?.last_error?.message).toMatch(
        /^provider is not running: it ended with exit code 137 \(SIGKILL\); its log is \/.*-json\.log\.$/,
      );
    });
    const talk = mesh.talk('consumer');
    talk.say('patient');
    await mesh.daemon.untilActive(1);
    command('start', 'provider');
    await talk.heard('1234 1234 ');
    talk.end();
    await mesh.until(LINK);
  });

  test('waits for a provider that is paused, and its open connections stay', async () => {
    await both();
    const talk = mesh.talk('consumer');
    talk.say('before');
    await talk.heard('1234 1234 ');
    command('pause', 'provider');
    await mesh.until(WAITING);
    command('unpause', 'provider');
    await mesh.until(LINK);
    talk.say('after');
    await talk.heard('after');
    const [link] = await mesh.daemon.shown();
    expect(link?.connections).toEqual({ active: 1, total: 1 });
    talk.end();
  });

  test('stays while its consumer is paused', async () => {
    await both();
    command('pause', 'consumer');
    mesh.run('another', WAIT, { labels: REQUIRE });
    await mesh.until(LINK, 'another raw provider established');
    command('unpause', 'consumer');
    expect(ask('hello')).toBe('1234 1234 hello');
  });

  test('has the new names of containers that are renamed', async () => {
    await both();
    command('rename', 'consumer', 'customer');
    await mesh.until('customer raw provider established');
    expect(ask('hello', 'customer')).toBe('1234 1234 hello');
    command('rename', 'provider', 'supplier');
    await mesh.until('customer raw supplier established');
    await eventually(() => expect(ask('again', 'customer')).toBe('1234 1234 again'));
  });

  test('goes with its consumer, and is missed without its provider', async () => {
    await both();
    command('rm', '--force', 'provider');
    await mesh.until('consumer raw  unmet');
    mesh.run('provider', SERVE, { labels: PROVIDE });
    await mesh.until(LINK);
    command('rm', '--force', 'consumer');
    await mesh.until();
  });

  test('comes back with a provider that ends by itself, and that the engine starts again', async () => {
    consume();
    mesh.run('provider', SERVE, { labels: PROVIDE, flags: ['--restart', 'always'] });
    await mesh.until(LINK);
    const first = mesh.pid('provider');
    process.kill(first, 'SIGKILL');
    await eventually(async () => {
      const [link] = await mesh.daemon.shown();
      expect(link?.provider_pid).not.toBe(first);
      expect(link?.state).toBe('established');
    });
    expect(ask('hello')).toBe('1234 1234 hello');
  });

  test('of containers whose image was removed by force stays, and no new one is made for them', async () => {
    const image = 'pvx-short-lived:test';
    mesh.engine.import(mesh.image, image);
    mesh.run('provider', SERVE, { labels: PROVIDE });
    mesh.run('consumer', WAIT, { labels: REQUIRE, image });
    await mesh.until(LINK);
    command('stop', '--time', '0', 'consumer');
    command('rmi', '--force', image);
    command('start', 'consumer');
    await mesh.until(LINK);
    const before = mesh.daemon.daemonPid;
    process.kill(before, 'SIGKILL'); // nobody knows its labels any more
    await mesh.untilLogged(
      'container consumer: found labels of an image that the engine no longer',
    );
    await eventually(async () => {
      const [link] = await mesh.daemon.shown();
      expect(link).toMatchObject({ state: 'failed', last_error: { code: 'manifest-invalid' } });
    });
  });

  test('lives on while the engine restarts, with its open connections', async () => {
    provide();
    consume(['hold', TARGET]);
    await mesh.until(LINK);
    await mesh.daemon.untilActive(1);
    await mesh.engine.end();
    await mesh.untilLogged("The container engine's socket: ");
    await mesh.until(LINK);
    await mesh.engine.start();
    await mesh.untilLogged('the graph can be read again');
    mesh.run('another', ['hold', TARGET], { labels: REQUIRE });
    const shown = await mesh.until(LINK, 'another raw provider established');
    expect(shown.find(({ consumer }) => consumer === 'consumer')?.connections).toEqual({
      active: 1,
      total: 1,
    });
    await eventually(async () => {
      const another = (await mesh.daemon.shown()).find(({ consumer }) => consumer === 'another');
      expect(another?.connections.active).toBe(1);
    });
  });
});
