/** rest links whose provider's socket is, by symlink, what a link listens on. */
import type { ChildProcess } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import { ContainerPair, usePair } from '../../support/container-pair.js';
import { point, totalOf, within } from '../../support/rings.js';
import { eventually } from '../../support/wait.js';
import { startNode } from '../http/providers.js';

const SOCKET = '/run/web/api.sock';
const TARGET = '/run/pv/services/api.sock';
const BACK = { name: 'back', target: '/run/pv/services/back.sock', socket: '/run/web/back.sock' };
const UNIX = { type: 'unix', interface: 'unix' };
/** More than any ring may take before it ends, and nothing beside what one that does not end takes. */
const FEW = 25;

describe('a rest link that leads to links', () => {
  const pair = usePair(
    new ContainerPair({
      args: ['--drain', '0', '--patience', '2'],
      link: {
        ...{ name: 'api', type: 'rest', interface: 'rest' },
        ...{ target: TARGET, socket: SOCKET },
      },
    }),
  );
  let server: ChildProcess | null = null;
  afterEach(async () => {
    server?.kill('SIGKILL');
    await pair.clear();
  });

  async function status(socket = TARGET): Promise<string> {
    const asked = ['curl', '-sS', '--max-time', '20', '--unix-socket', socket];
    const argv = [...asked, '-o', '/dev/null', '-w', '%{http_code}', 'http://localhost/'];
    return (await pair.consumer.exec(argv, { timeout: 30_000 })).stdout;
  }

  async function expectLoop(...names: string[]): Promise<void> {
    const failed = Object.fromEntries(names.map((name) => [name, 'failed']));
    for (const { last_error } of await pair.daemon.until(failed)) {
      expect(last_error?.code).toBe('provider-loop');
      expect(last_error?.message).toContain('leads back');
    }
    await eventually(async () => {
      const shown = await pair.daemon.shown();
      expect(shown.map(({ connections }) => connections.active)).toEqual(names.map(() => 0));
    });
    expect(await totalOf(pair)).toBeLessThan(FEW);
  }

  async function serveAt(socket: string): Promise<void> {
    await pair.consumer.exec(['rm', '-f', socket]);
    server = startNode(pair.consumer, { socket }, 'end');
    server.stdout?.resume();
  }

  test('and by them to a provider passes what is asked', async () => {
    await serveAt('/run/web/end.sock');
    await point(pair, SOCKET, BACK.target);
    pair.daemon.set(within(pair), within(pair, { ...BACK, socket: '/run/web/end.sock' }));
    await pair.daemon.until({ api: 'established', back: 'established' });
    expect(await status()).toBe('200');
    await pair.daemon.until({ api: 'established', back: 'established' });
  });

  test('and to itself refuses each request, says why, and recovers when it is mended', async () => {
    await point(pair, SOCKET, TARGET);
    pair.daemon.set(within(pair));
    await pair.daemon.until({ api: 'established' });
    expect(await status()).toMatch(/^50/);
    await expectLoop('api');
    expect(await status()).toMatch(/^50/);
    await expectLoop('api');
    await serveAt(SOCKET);
    await eventually(async () => expect(await status()).toBe('200'));
    await pair.daemon.until({ api: 'established' });
  });

  test.each([
    ['rest', 'rest', 2],
    ['unix', 'rest', 2],
    ['rest', 'unix', 2],
    ['unix', 'rest', 3],
  ])(
    'and is one of a ring of %s and %s links ends it, whatever links are among them',
    async (first, second, length) => {
      const of = (type: string) => (type === 'unix' ? UNIX : {});
      const third = { ...UNIX, name: 'third', target: '/run/pv/services/third.sock' };
      await point(pair, SOCKET, BACK.target);
      await point(pair, BACK.socket, length === 2 ? TARGET : third.target);
      await point(pair, '/run/web/third.sock', TARGET);
      const all = [
        within(pair, of(first)),
        within(pair, { ...BACK, ...of(second) }),
        within(pair, { ...third, socket: '/run/web/third.sock' }),
      ].slice(0, length);
      const names = all.map(({ name }) => name);
      pair.daemon.set(...all);
      const allAre = (state: string) => Object.fromEntries(names.map((name) => [name, state]));
      await pair.daemon.until(allAre('established'));
      await status();
      await expectLoop(...names);
      await status(BACK.target);
      await expectLoop(...names);
      await serveAt(BACK.socket);
      for (const { target } of all) {
        await eventually(async () => expect(await status(target)).toBe('200'), {
          timeoutMs: 20_000,
        });
      }
      await pair.daemon.until(allAre('established'));
    },
  );
});
