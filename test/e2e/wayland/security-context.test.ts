/**
 * A compositor that is told who its clients are, by security-context-v1. No compositor of Debian 12 knows it, so a
 * minimal one stands in (compositor.py): it shows the conversation, and whose clients come where.
 */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { ContainerPair, usePair } from '../../support/container-pair.js';
import { Peer } from '../../support/peer-process.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

const COMPOSITOR = readFileSync(new URL('./compositor.py', import.meta.url), 'utf8');
const CLIENT = readFileSync(new URL('./client.py', import.meta.url), 'utf8');
const SOCKET = '/run/display/wayland-0';
const TARGET = '/run/wayland-0';
const KEYMAP = 'xkb_keymap { stand-in };';
const LINK = 'kiosk|display|%2Frun%2Fwayland-0';

describe('a wayland link to a compositor that is told who comes', () => {
  const pair = usePair(
    new ContainerPair({
      args: ['--patience', '2', '--drain', '0'],
      link: {
        ...{ consumer: 'kiosk', name: 'display', type: 'wayland', interface: 'wayland' },
        ...{ socket: SOCKET, target: TARGET },
      },
    }),
  );
  let compositor: Peer | null = null;
  afterEach(async () => {
    await pair.daemon.clear();
    compositor?.kill();
    compositor = null;
    await pair.provider.exec(['rm', '-rf', '/run/display']);
  });

  async function start(mode: string): Promise<Peer> {
    compositor?.kill();
    compositor = new Peer(pair.provider.run(['python3', '-c', COMPOSITOR, SOCKET, mode]));
    expect(await compositor.line()).toBe('ready');
    return compositor;
  }

  /** What a client is told of its keyboard. */
  async function client(target = TARGET): Promise<string> {
    const { stdout, stderr } = await pair.consumer.exec(['python3', '-c', CLIENT, target]);
    return `${stdout}${stderr}`.trim();
  }

  const inFolder = async () =>
    (await pair.provider.exec(['ls', '-A', '/run/display'])).stdout.trim().split('\n').sort();

  test('says so before the first client comes, and the graph shows it', async () => {
    const peer = await start('context');
    pair.daemon.set(pair.link());
    expect(await peer.line()).toBe('client direct');
    expect(await peer.line()).toBe(`context io.pantavisor.pv-xconnect kiosk ${LINK}`);
    const [shown] = await pair.daemon.until({ display: 'established' });
    expect(shown?.security_context).toBe(true);
    expect(await client()).toBe(KEYMAP);
    expect(await peer.line()).toBe(`client kiosk ${LINK}`);
  });

  test('passes descriptors of the compositor to its clients', async () => {
    await start('context');
    await pair.establish();
    for (let i = 0; i < 5; i++) expect(await client()).toBe(KEYMAP);
  });

  test.runIf(has('wayland-info'))('serves a client of libwayland', async () => {
    await start('context');
    await pair.establish();
    const script = `WAYLAND_DISPLAY=${TARGET} wayland-info`;
    const { code, stdout } = await pair.consumer.exec(['sh', '-c', script]);
    expect(code).toBe(0);
    expect(stdout).toContain('wp_security_context_manager_v1');
    expect(stdout).toContain('keyboard repeat rate: 25');
  });

  test('tells two consumers and two links apart', async () => {
    const peer = await start('context');
    await pair.withContainer({ name: 'other' }, async (other) => {
      pair.daemon.set(
        pair.link(),
        pair.link({ name: 'again', target: '/run/again' }),
        pair.link({ consumer: 'other', consumer_pid: other.pid, name: 'third' }),
      );
      await pair.daemon.until({
        display: 'established',
        again: 'established',
        third: 'established',
      });
      const lines: string[] = [];
      while (lines.filter((line) => line.startsWith('context')).length < 3) {
        lines.push(await peer.line());
      }
      expect(lines.filter((line) => line.startsWith('context')).sort()).toEqual([
        'context io.pantavisor.pv-xconnect kiosk kiosk|again|%2Frun%2Fagain',
        `context io.pantavisor.pv-xconnect kiosk ${LINK}`,
        'context io.pantavisor.pv-xconnect other other|third|%2Frun%2Fwayland-0',
      ]);
      expect(await client('/run/again')).toBe(KEYMAP);
      expect(await peer.line()).toBe('client kiosk kiosk|again|%2Frun%2Fagain');
    });
  });

  test('is not listened to any more when the link goes, and leaves nothing with the compositor', async () => {
    const peer = await start('context');
    await pair.establish();
    expect((await inFolder()).length).toBe(2); // its socket, and ours beside it
    await pair.daemon.clear();
    const lines = [await peer.line(), await peer.line(), await peer.line(), await peer.line()];
    expect(lines.slice(2).sort()).toEqual(['closed kiosk', 'gone direct']);
    expect(await inFolder()).toEqual(['wayland-0']);
  });

  test('introduces itself anew to the next compositor; no client slips through untold', async () => {
    await start('context');
    await pair.establish();
    compositor?.kill();
    await pair.daemon.until({ display: 'waiting' });
    const waiting = client();
    const next = await start('context');
    expect(await waiting).toBe(KEYMAP);
    const lines: string[] = [];
    while (!lines.at(-1)?.startsWith('client kiosk')) lines.push(await next.line());
    expect(lines.filter((line) => line === 'client direct').length).toBe(1);
    expect(lines.filter((line) => line.startsWith('context')).length).toBe(1);
  });

  test('is introduced in a provider that was restarted', async () => {
    await start('context');
    await pair.establish();
    await pair.provider.restart();
    const peer = await start('context');
    await pair.establish();
    expect(await client()).toBe(KEYMAP);
    expect(await peer.line()).toBe('client direct');
    expect(await peer.line()).toMatch(/^context/);
    expect(await peer.line()).toMatch(/^client kiosk/);
  });

  test('keeps clients out where the compositor refuses to be told, and says what it said', async () => {
    await start('refuse');
    pair.daemon.set(pair.link());
    await eventually(async () => {
      const [shown] = await pair.daemon.shown();
      expect(shown?.state).toBe('waiting');
      expect(shown?.last_error).toMatchObject({
        code: 'provider-refused',
        message: `The compositor at ${SOCKET} in provider: it said: "no \\u001b[31mnesting".`,
      });
    });
    expect(await client()).toMatch(/closed|reset|broken pipe/i);
    expect(await inFolder()).toEqual(['wayland-0']);
  });

  test('keeps clients out where the compositor does not answer', async () => {
    const peer = await start('silent');
    pair.daemon.set(pair.link());
    await eventually(async () =>
      expect((await pair.consumer.exec(['test', '-S', TARGET])).code).toBe(0),
    );
    expect(await client()).toMatch(/closed|reset|broken pipe/i);
    expect(await peer.line()).toBe('client direct');
    await eventually(
      async () => expect((await pair.daemon.shown())[0]?.last_error?.code).toBe('timed-out'),
      { timeoutMs: 8_000 },
    );
  });

  test.each(['garbage', 'flood'])(
    'is the plain relay to a provider that speaks %s',
    async (mode) => {
      const peer = await start(mode);
      pair.daemon.set(pair.link());
      const [shown] = await pair.daemon.until({ display: 'established' });
      expect(shown?.security_context).toBe(false);
      expect([await peer.line(), await peer.line()]).toEqual(['client direct', 'gone direct']);
      if (mode === 'garbage') {
        expect(await client()).toBe('no Wayland');
        expect(await peer.line()).toBe('client direct');
      }
    },
  );

  test('goes with a daemon that is killed', async () => {
    await start('context');
    await pair.establish();
    await pair.daemon.kill();
    await eventually(async () => expect(await inFolder()).toEqual(['wayland-0']));
    await pair.daemon.launch();
    await pair.daemon.until({ display: 'established' });
    expect(await client()).toBe(KEYMAP);
  });
});
