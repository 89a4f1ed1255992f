/**
 * A real compositor, Debian's weston without a screen, in one container and its own clients in another: what they
 * draw arrives through the link as it does without one. weston 10 knows no security-context-v1, so this is the
 * plain relay; security-context.test.ts is the other.
 */
import { describe, expect, test } from 'vitest';
import type { TestContainer } from '../../support/container.js';
import { usePair } from '../../support/container-pair.js';
import { eventually } from '../../support/wait.js';
import { hasWeston, WestonPair } from './weston.js';

describe.runIf(hasWeston())('a wayland link to weston', () => {
  const pair = usePair(new WestonPair());

  /** Words of a terminal in that container, photographed, and how the terminal ended. */
  async function words(container: TestContainer) {
    const before = await pair.screenshot();
    await pair.sh(container, 'rm -f /tmp/go');
    const terminal = pair.sh(container, 'weston-terminal --shell=/tmp/words');
    const shown = await eventually(async () => {
      const first = await pair.screenshot();
      const second = await pair.screenshot();
      expect(first.equals(second)).toBe(true); // it is done with drawing
      expect(first.equals(before)).toBe(false);
      expect(first.length).toBeGreaterThan(before.length + 500); // words, not an empty window
      return first;
    });
    await pair.sh(container, 'touch /tmp/go');
    return { shown, code: (await terminal).code };
  }

  test('is the plain relay, and the graph says so', async () => {
    const [shown] = await pair.daemon.shown();
    expect(shown).toMatchObject({ state: 'established', security_context: false });
    expect((await pair.sh(pair.provider, 'ls -A /run | grep -c pvx')).output.trim()).toBe('0');
  });

  test('shows a client everything that the compositor has', async () => {
    const through = await pair.sh(pair.consumer, 'wayland-info');
    const direct = await pair.sh(pair.provider, 'wayland-info');
    expect(through).toEqual(direct);
    expect(through.output).toContain('wl_shm');
  });

  test('lets a client draw in shared memory and leave', async () => {
    const before = await pair.screenshot();
    const client = pair.sh(
      pair.consumer,
      'timeout --foreground --preserve-status -s INT 2 weston-simple-shm',
    );
    await eventually(async () => expect((await pair.screenshot()).equals(before)).toBe(false));
    expect(await client).toEqual({ code: 0, output: 'simple-shm exiting\n' });
    await eventually(async () => expect((await pair.screenshot()).equals(before)).toBe(true));
  });

  test('brings a terminal onto the screen, pixel by pixel as without a link', async () => {
    await pair.restartWeston();
    const through = await words(pair.consumer);
    await pair.restartWeston();
    const direct = await words(pair.provider);
    expect([through.code, direct.code]).toEqual([0, 0]);
    expect(through.shown.equals(direct.shown)).toBe(true);
  });

  test('lets several clients work at once', async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () =>
        pair.sh(pair.consumer, 'timeout --foreground --preserve-status -s INT 1 weston-simple-shm'),
      ),
    );
    expect(all.map(({ code }) => code)).toEqual(Array(8).fill(0));
  });

  test('goes to the next compositor when that one ended, and a client waits for it', async () => {
    await pair.stopWeston();
    await pair.daemon.until({ display: 'waiting' });
    const client = pair.sh(pair.consumer, 'wayland-info | grep -c wl_shm');
    await pair.startWeston();
    expect((await client).output.trim()).toBe('1');
    await pair.daemon.until({ display: 'established' });
  });
});
