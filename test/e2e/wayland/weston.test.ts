/**
 * A real compositor, Debian's weston without a screen, in one container and its own clients in another: what they
 * draw arrives through the link as it does without one. weston 10 knows no security-context-v1, so this is the
 * plain relay; security-context.test.ts is the other.
 */
import type { ChildProcess } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestContainer } from '../../support/container.js';
import { ContainerPair, usePair } from '../../support/container-pair.js';
import { endBy } from '../../support/processes.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';

/** Neither clock nor animation. Where a window comes to lie is the same after every start of it. */
const INI = `[core]
idle-time=0
[shell]
panel-position=none
background-color=0xff204060
startup-animation=none
locking=false
`;
const WESTON = `export XDG_RUNTIME_DIR=/run
exec weston --backend=headless-backend.so --use-pixman --width=640 --height=480 \
  --socket=wayland-0 --debug --config=/tmp/weston.ini`;
/** What the terminal runs: says something, and stays until it is told to go. */
const WORDS =
  '#!/bin/sh\nprintf "\\033[?25lthe same words"\nwhile [ ! -e /tmp/go ]; do sleep 0.05; done\n';

const tools = ['weston', 'weston-simple-shm', 'weston-terminal', 'weston-screenshooter'];

describe.runIf([...tools, 'wayland-info'].every(has))('a wayland link to weston', () => {
  const pair = usePair(
    new ContainerPair({
      args: ['--patience', '2'],
      link: {
        ...{ name: 'display', type: 'wayland', interface: 'wayland' },
        ...{ socket: '/run/wayland-0', target: '/run/wayland-0' },
      },
    }),
  );
  let weston: ChildProcess;

  beforeAll(async () => {
    for (const container of [pair.consumer, pair.provider]) {
      // What an image of a container with a terminal in it has.
      cpSync('/etc/fonts', join(container.rootDir, 'etc/fonts'), { recursive: true });
      writeFileSync(join(container.rootDir, 'tmp/weston.ini'), INI);
      writeFileSync(join(container.rootDir, 'tmp/words'), WORDS, { mode: 0o755 });
      await sh(
        container,
        'mkdir /dev/pts; mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts; ln -s pts/ptmx /dev/ptmx',
      );
    }
    await startWeston();
    await pair.establish();
  });

  async function sh(container: TestContainer, script: string) {
    const argv = ['sh', '-c', `export XDG_RUNTIME_DIR=/run; ${script}`];
    const { code, stdout, stderr } = await container.exec(argv, { timeout: 20_000 });
    return { code, output: `${stdout}${stderr}` };
  }

  async function startWeston(): Promise<void> {
    weston = pair.provider.run(['sh', '-c', WESTON]);
    weston.stdout?.resume();
    weston.stderr?.resume();
    await eventually(async () => {
      expect((await sh(pair.provider, 'wayland-info | grep weston_screenshooter')).code).toBe(0);
      const [one, two] = [await screenshot(), await screenshot()];
      expect(one.equals(two)).toBe(true); // its background is there
    });
  }

  async function stopWeston(): Promise<void> {
    await endBy(weston, 'SIGTERM');
    await sh(pair.provider, 'rm -f /run/wayland-0*');
  }

  async function restartWeston(): Promise<void> {
    await stopWeston();
    await startWeston();
    await pair.daemon.until({ display: 'established' });
  }

  /** What is on the compositor's output now, as PNG. */
  async function screenshot(): Promise<Buffer> {
    const folder = join(pair.provider.rootDir, 'tmp/shot');
    rmSync(folder, { recursive: true, force: true });
    const { code, output } = await sh(
      pair.provider,
      'mkdir /tmp/shot; cd /tmp/shot; weston-screenshooter; ls',
    );
    expect(code).toBe(0);
    return readFileSync(join(folder, output.trim()));
  }

  /** Words of a terminal in that container, photographed, and how the terminal ended. */
  async function words(container: TestContainer) {
    const before = await screenshot();
    await sh(container, 'rm -f /tmp/go');
    const terminal = sh(container, 'weston-terminal --shell=/tmp/words');
    const shown = await eventually(async () => {
      const first = await screenshot();
      const second = await screenshot();
      expect(first.equals(second)).toBe(true); // it is done with drawing
      expect(first.equals(before)).toBe(false);
      expect(first.length).toBeGreaterThan(before.length + 500); // words, not an empty window
      return first;
    });
    await sh(container, 'touch /tmp/go');
    return { shown, code: (await terminal).code };
  }

  test('is the plain relay, and the graph says so', async () => {
    const [shown] = await pair.daemon.shown();
    expect(shown).toMatchObject({ state: 'established', security_context: false });
    expect((await sh(pair.provider, 'ls -A /run | grep -c pvx')).output.trim()).toBe('0');
  });

  test('shows a client everything that the compositor has', async () => {
    const through = await sh(pair.consumer, 'wayland-info');
    const direct = await sh(pair.provider, 'wayland-info');
    expect(through).toEqual(direct);
    expect(through.output).toContain('wl_shm');
  });

  test('lets a client draw in shared memory and leave', async () => {
    const before = await screenshot();
    const client = sh(
      pair.consumer,
      'timeout --foreground --preserve-status -s INT 2 weston-simple-shm',
    );
    await eventually(async () => expect((await screenshot()).equals(before)).toBe(false));
    expect(await client).toEqual({ code: 0, output: 'simple-shm exiting\n' });
    await eventually(async () => expect((await screenshot()).equals(before)).toBe(true));
  });

  test('brings a terminal onto the screen, pixel by pixel as without a link', async () => {
    await restartWeston();
    const through = await words(pair.consumer);
    await restartWeston();
    const direct = await words(pair.provider);
    expect([through.code, direct.code]).toEqual([0, 0]);
    expect(through.shown.equals(direct.shown)).toBe(true);
  });

  test('lets several clients work at once', async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () =>
        sh(pair.consumer, 'timeout --foreground --preserve-status -s INT 1 weston-simple-shm'),
      ),
    );
    expect(all.map(({ code }) => code)).toEqual(Array(8).fill(0));
  });

  test('goes to the next compositor when that one ended, and a client waits for it', async () => {
    await stopWeston();
    await pair.daemon.until({ display: 'waiting' });
    const client = sh(pair.consumer, 'wayland-info | grep -c wl_shm');
    await startWeston();
    expect((await client).output.trim()).toBe('1');
    await pair.daemon.until({ display: 'established' });
  });
});
