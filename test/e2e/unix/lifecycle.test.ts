/** How a unix link comes, changes and goes while containers and graphs do. */
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { wireLink } from '../../support/link.js';
import { eventually } from '../../support/wait.js';
import { SOCKET, TARGET, useUnixPair } from './support.js';

describe('the life of a unix link', () => {
  const pair = useUnixPair('--drain', '1', '--patience', '5');
  afterEach(() => pair.clear());

  const targetExists = async (path = TARGET) =>
    (await pair.consumer.exec(['test', '-e', path])).code === 0;
  /** Identity of the planted socket: another one after every bind. */
  const inode = async (path = TARGET) =>
    (await pair.consumer.exec(['stat', '-c', '%i %Z', path])).stdout.trim();

  test('ends with the graph: the socket goes at once, connections after the drain time', async () => {
    await pair.serve('serve-hold');
    await pair.establish();
    await pair.start(pair.consumer, 'hold', TARGET, '3');
    await pair.daemon.untilActive(3);
    pair.daemon.set();
    await pair.daemon.until({ raw: 'draining' });
    expect(await targetExists()).toBe(false);
    expect((await pair.daemon.shown())[0]?.connections.active).toBe(3);
    await pair.daemon.until({});
  });

  test('is planted with mode 0666 below folders of mode 0755', async () => {
    await pair.establish({ target: '/run/made/for/it.sock' }).catch(() => undefined);
    await pair.serve('serve-echo');
    await pair.daemon.until({ raw: 'established' });
    const { stdout } = await pair.consumer.exec(
      'stat -c %a /run/made /run/made/for /run/made/for/it.sock'.split(' '),
    );
    expect(stdout.split('\n').slice(0, 3)).toEqual(['755', '755', '666']);
  });

  test('whose socket changed in the same graph goes to the new one', async () => {
    await pair.serve('serve-whoami');
    await pair.start(pair.provider, 'serve-echo', '/run/example/other.sock');
    await pair.establish();
    expect(await pair.ask('ask', TARGET, '')).toBe('0 0 0');
    await pair.establish({ socket: '/run/example/other.sock' });
    await eventually(async () => expect(await pair.ask('ask', TARGET, 'hi')).toBe('hi'));
  });

  test('whose role changed loses the connections of the old role at once', async () => {
    await pair.serve('serve-hold');
    await pair.establish({ role: '10' });
    await pair.start(pair.consumer, 'hold', TARGET, '1');
    await pair.daemon.untilActive(1);
    pair.daemon.set(pair.link({ role: '11' }));
    await pair.daemon.untilActive(0, 'raw', 900);
  });

  test('that did not change is not touched when another one does', async () => {
    await pair.serve('serve-hold');
    const other = { name: 'other', target: '/run/other.sock' };
    pair.daemon.set(pair.link(), pair.link(other));
    await pair.daemon.until({ raw: 'established', other: 'established' });
    const before = await inode();
    await pair.start(pair.consumer, 'hold', TARGET, '2');
    pair.daemon.set(pair.link(), pair.link({ ...other, role: '12' }));
    await eventually(async () => {
      const shown = await pair.daemon.shown();
      expect(shown.find(({ name }) => name === 'other')).toMatchObject({
        role: '12',
        state: 'established',
      });
    });
    expect(await inode()).toBe(before);
    const raw = (await pair.daemon.shown()).find(({ name }) => name === 'raw');
    expect(raw?.connections.active).toBe(2);
  });

  test('of a consumer that is not running binds nothing, and is planted within 200 ms of its pid', async () => {
    await pair.serve('serve-echo');
    pair.daemon.set(pair.link({ consumer_pid: 0 }));
    const [shown] = await pair.daemon.until({ raw: 'waiting' });
    expect(shown?.last_error?.code).toBe('consumer-not-running');
    expect(existsSync(TARGET)).toBe(false);
    expect(readFileSync('/proc/net/unix', 'utf8')).not.toContain(TARGET);
    pair.daemon.set(pair.link());
    await eventually(async () => void (await pair.daemon.until({ raw: 'established' }, 200)), {
      timeoutMs: 200,
    });
    expect(await pair.ask('ask', TARGET, 'now')).toBe('now');
  });

  test('is planted anew when its consumer restarted', async () => {
    await pair.serve('serve-echo');
    await pair.establish();
    await pair.consumer.restart();
    await pair.establish();
    await eventually(async () => expect(await pair.ask('ask', TARGET, 'again')).toBe('again'));
  });

  test('goes to the new provider when that restarted, through the same socket', async () => {
    await pair.serve('serve-echo');
    await pair.establish();
    const before = await inode();
    await pair.provider.restart();
    pair.daemon.set(pair.link());
    const early = pair.ask('ask', TARGET, 'early');
    await pair.serve('serve-echo');
    expect(await early).toBe('early');
    expect(await inode()).toBe(before);
  });

  test('comes back when consumer and provider restarted both at once', async () => {
    await pair.serve('serve-echo');
    await pair.establish();
    await Promise.all([pair.consumer.restart(), pair.provider.restart()]);
    pair.daemon.set(pair.link());
    await pair.serve('serve-echo');
    await pair.daemon.until({ raw: 'established' });
    await eventually(async () => expect(await pair.ask('ask', TARGET, 'both')).toBe('both'));
  });

  test('asks the runtime at once when a container that it uses has died', async () => {
    await pair.serve('serve-echo');
    await pair.establish();
    const old = pair.consumer.pid;
    await pair.consumer.restart();
    pair.daemon.graph = [pair.link()]; // no SIGHUP: the daemon finds out by itself
    expect(pair.consumer.pid).not.toBe(old);
    await eventually(
      async () => expect(await pair.ask('ask', TARGET, 'found out')).toBe('found out'),
      { timeoutMs: 8_000 },
    );
  });

  test('named by the pid of a process on the host is refused, and nothing is planted', async () => {
    await pair.serve('serve-echo');
    pair.daemon.set(pair.link({ consumer_pid: process.pid }));
    const [shown] = await pair.daemon.until({ raw: 'failed' });
    expect(shown?.last_error?.code).toBe('not-a-container');
    expect(existsSync(TARGET)).toBe(false);
  });

  test('of a type that nobody serves is failed, and the others work', async () => {
    await pair.serve('serve-echo');
    pair.daemon.set(pair.link(), pair.link({ name: 'odd', type: 'odd', target: '/run/odd' }));
    const shown = await pair.daemon.until({ raw: 'established', odd: 'failed' });
    expect(shown.find(({ name }) => name === 'odd')?.last_error?.code).toBe('type-unknown');
    expect(await pair.ask('ask', TARGET, 'fine')).toBe('fine');
  });

  test('is told to the runtime after each change', async () => {
    await pair.serve('serve-echo');
    pair.daemon.posted.length = 0;
    await pair.establish();
    await eventually(() =>
      expect(pair.daemon.posted.at(-1)).toEqual([
        { consumer: 'consumer', name: 'raw', target: TARGET, established: true, last_error: null },
      ]),
    );
  });

  test.each([107, 200])('reaches a provider path of %i bytes', async (length) => {
    const folder = `/run/${'d'.repeat(length - 5 - 1 - 40)}`;
    const socket = `${folder}/${'s'.repeat(40)}`;
    expect(socket.length).toBe(length);
    await pair.start(pair.provider, 'serve-echo', socket);
    await pair.establish({ socket });
    expect(await pair.ask('ask', TARGET, 'long')).toBe('long');
  });

  test('among 5,000 in one graph is established, and its neighbours wait', async () => {
    await pair.serve('serve-echo');
    const others = Array.from({ length: 4_999 }, (_, i) =>
      wireLink({ consumer: `absent-${i}`, name: `svc-${i}`, socket: SOCKET }),
    );
    pair.daemon.set(...others, pair.link());
    await eventually(
      async () => {
        const shown = await pair.daemon.shown();
        expect(shown.length).toBe(5_000);
        expect(shown.find(({ name }) => name === 'raw')?.state).toBe('established');
      },
      { timeoutMs: 10_000 },
    );
    expect(await pair.ask('ask', TARGET, 'crowded')).toBe('crowded');
  });
});
