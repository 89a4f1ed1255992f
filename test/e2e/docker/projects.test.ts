/** Compose projects, scaled services, labels that are hostile, and the networks of containers, with a real engine. */
import { describe, expect, test } from 'vitest';
import { eventually } from '../../support/wait.js';
import {
  composed,
  DockerMesh,
  docker,
  type LabelTexts,
  PROVIDE,
  REQUIRE,
  SERVE,
  SUBORDINATE_IDS,
  TARGET,
  useDocker,
  WAIT,
} from './support.js';

describe.runIf(docker())('containers of Docker', { timeout: 60_000 }, () => {
  const mesh = useDocker(new DockerMesh());
  const command = (...args: string[]) => mesh.engine.docker(...args);
  const ask = (text: string, from: string) => mesh.peer(from, 'ask', TARGET, text);

  function start(
    [name, compose]: [string, LabelTexts],
    program: readonly string[],
    labels: LabelTexts,
  ): void {
    mesh.run(name, program, { labels: { ...compose, ...labels } });
  }

  test('of two projects with the same services have links in their own project', async () => {
    for (const project of ['red', 'blue']) {
      start(composed(project, 'server'), SERVE, {
        ...PROVIDE,
        'pv.provide.raw.allow': '["container:client"]',
      });
      start(composed(project, 'client'), WAIT, REQUIRE);
    }
    const shown = await mesh.until(
      'red-client raw red-server established',
      'blue-client raw blue-server established',
    );
    for (const { consumer, provider_pid } of shown) {
      const project = consumer.split('-')[0];
      expect(provider_pid).toBe(mesh.pid(`${project}-server-1`));
      expect(ask('hello', `${project}-client-1`)).toContain('hello');
    }
    command('rm', '--force', 'blue-server-1', 'blue-client-1');
    await mesh.until('client raw server established');
    await eventually(() => expect(ask('again', 'red-client-1')).toContain('again'));
  });

  test('of a service that is scaled up and down each have their links, and one of them provides', async () => {
    start(composed('p', 'client'), WAIT, REQUIRE);
    start(composed('p', 'server'), SERVE, PROVIDE);
    await mesh.until('client raw server established');
    start(composed('p', 'server', 2), SERVE, PROVIDE);
    start(composed('p', 'client', 2), WAIT, REQUIRE);
    const both = ['client raw server established', 'p-client-2 raw server established'];
    const shown = await mesh.until(...both);
    expect(shown.map(({ provider_pid }) => provider_pid)).toEqual(
      Array(2).fill(mesh.pid('p-server-1')),
    );
    await mesh.untilLogged(
      'container p-server-1: found 1 more containers of its service (p-server-2)',
    );
    command('kill', 'p-server-1');
    const next = mesh.pid('p-server-2');
    await eventually(async () => {
      for (const { provider_pid } of await mesh.until(...both)) expect(provider_pid).toBe(next);
    });
    expect(ask('hello', 'p-client-1')).toBe('0 0 hello');
    expect(ask('hello', 'p-client-2')).toBe('0 0 hello');
    command('rm', '--force', 'p-server-1', 'p-client-2');
    await mesh.until('client raw server established');
    command('rm', '--force', ...['p-server-2', 'p-client-1']);
    await mesh.until();
  });

  test('with hostile labels lose nothing of others', async () => {
    start(['provider', PROVIDE], SERVE, {});
    mesh.run('consumer', ['hold', TARGET], { labels: REQUIRE });
    await mesh.until('consumer raw provider established');
    await mesh.daemon.untilActive(1);
    const many = Array.from({ length: 5_000 }, (_, i) => ({
      ...{ name: `s${i}`, type: 'unix', socket: `/run/${i}` },
    }));
    const hostile: Record<string, LabelTexts> = {
      large: { 'pv.provide.x': `unix:/${'x'.repeat(1024 * 1024)}`, 'pv.provide.y': 'unix:/run/y' },
      wrong: { 'pv.required': '[{"name":', 'pv.provide.raw': 'unix' },
      many: { 'pv.services': JSON.stringify(many) },
      deep: { 'pv.optional': '['.repeat(100_000) },
      odd: { 'pv.provide.\u202e\n': 'unix:/run/x', 'pv.provide.__proto__': 'unix:/run/../x' },
    };
    for (const [name, labels] of Object.entries(hostile)) await mesh.create(name, labels);
    for (const place of [
      'container large, label pv.provide.x: found 1048582 bytes, expected at most 1048576',
      'container wrong, label pv.required: found ',
      'container wrong, label pv.provide.raw: found ',
      'container deep, label pv.optional: found nesting deeper than 64',
      'container odd, label pv.provide.__proto__:/socket: found ',
    ]) {
      await mesh.untilLogged(place);
    }
    mesh.run('another', WAIT, { labels: { 'pv.require.y': '', 'pv.require.s4999': '' } });
    const shown = await mesh.until(
      'consumer raw provider established',
      'another s4999 many waiting',
      'another y large waiting',
    );
    expect(shown.find(({ name }) => name === 'raw')?.connections).toEqual({ active: 1, total: 1 });
  });

  test('that ask for a device that there is not are told so, and others are not touched', async () => {
    start(['provider', { 'pv.provide.card': 'drm:/dev/dri/card0' }], SERVE, PROVIDE);
    start(['consumer', { 'pv.require.card': '' }], WAIT, REQUIRE);
    await eventually(async () => {
      const shown = await mesh.until(
        'consumer card provider waiting',
        'consumer raw provider established',
      );
      const card = shown.find(({ name }) => name === 'card');
      expect(card?.last_error?.code).toBe('device-missing');
    });
  });

  test('get nothing by the labels of their image', async () => {
    const image = 'pvx-greedy:test';
    mesh.engine.import(mesh.image, image, "--change 'LABEL pv.require.raw='");
    start(['provider', PROVIDE], SERVE, {});
    mesh.run('greedy', WAIT, { image });
    await mesh.untilLogged('container greedy, label pv.require.raw: found a label of its image');
    await mesh.until();
    mesh.run('trusted', WAIT, { image, labels: { 'pv.image-labels': 'accept' } });
    await mesh.until('trusted raw provider established');
  });

  test.each([
    ['none', 'none', 7801],
    ['none', 'host', 7802],
    ['host', 'none', 7803],
    ['none', 'container:provider', 7804],
    ['container:other', 'none', 7805],
    ['host', 'host', 7806],
  ])('with the networks %s and %s are joined by TCP', async (provider, consumer, port) => {
    const target = `127.0.0.1:${port + 100}`;
    const [from, to] = [{ 'pv.provide.echo': `tcp:${port}` }, { 'pv.require.echo': target }];
    if (provider === 'container:other') mesh.run('other', WAIT);
    mesh.run('provider', ['listen', String(port)], { labels: from, network: provider });
    mesh.run('consumer', WAIT, { labels: to, network: consumer });
    await mesh.until('consumer echo provider established');
    expect(mesh.peer('consumer', 'call', String(port + 100), 'hello')).toBe('hello');
  });
});

describe.runIf(docker())(
  'containers of Docker with users of their own',
  { timeout: 60_000 },
  () => {
    const flags = ['--userns-remap', 'nobody:nogroup'];
    const mesh = useDocker(new DockerMesh({ flags, prefix: SUBORDINATE_IDS }));

    test('are joined, and the role is one of those users', async () => {
      mesh.run('provider', SERVE, { labels: PROVIDE });
      mesh.run('consumer', WAIT, { labels: { ...REQUIRE, 'pv.require.raw.role': '1234' } });
      await mesh.until('consumer raw provider established');
      expect(mesh.peer('consumer', 'ask', TARGET, 'hello')).toBe('1234 1234 hello');
      expect(mesh.engine.docker('info', '--format', '{{.SecurityOptions}}')).toContain('userns');
    });
  },
);
