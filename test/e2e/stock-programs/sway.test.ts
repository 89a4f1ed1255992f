/**
 * sway, without a screen: its clients through a wayland link, and swaymsg through a unix link. weston and its clients
 * are in test/e2e/wayland.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestContainer } from '../../support/container.js';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { USER, useStockPair } from './support.js';

const FOLDER = '/run/desktop';
const CONFIG = `output HEADLESS-1 mode 640x480
output HEADLESS-1 background #204060 solid_color
default_border none
seat seat0 hide_cursor 1
`;
const programs = ['sway', 'swaymsg', 'grim', 'weston-clickdot', 'wayland-info'];

describe.runIf(programs.every(has))('sway through links', () => {
  const display = { socket: `${FOLDER}/wayland-1`, target: `${FOLDER}/wayland-1` };
  const ipc = { name: 'ipc', socket: `${FOLDER}/sway.sock`, target: `${FOLDER}/sway.sock` };
  const pair = useStockPair({ name: 'display', type: 'wayland', interface: 'wayland', ...display });
  const ask = (script: string) =>
    `export XDG_RUNTIME_DIR=${FOLDER} WAYLAND_DISPLAY=wayland-1 SWAYSOCK=${ipc.socket}; ${script}`;

  beforeAll(async () => {
    await pair.provider.exec(['install', '-d', '-m', '700', '-o', USER.name, FOLDER]);
    writeFileSync(join(pair.provider.rootDir, 'tmp/config'), CONFIG);
    pair.serve(
      ask(`unset WAYLAND_DISPLAY
        export HOME=/tmp WLR_BACKENDS=headless WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1
        exec sway --config /tmp/config`),
    );
    await eventually(async () => expect(await screenshot(pair.provider)).toMatch(/^[0-9a-f]{32} /));
    pair.daemon.set(pair.link(), pair.link({ type: 'unix', interface: 'unix', ...ipc }));
    await pair.daemon.until({ display: 'established', ipc: 'established' });
  });

  /** The sum of what is on the screen. */
  async function screenshot(container: TestContainer): Promise<string> {
    return (await pair.sh(container, ask('grim /tmp/shot && md5sum < /tmp/shot'))).output;
  }

  test('does what swaymsg says, and tells it what it has', async () => {
    const { direct, through } = await pair.both(
      ask(`swaymsg -r -t get_version; swaymsg workspace number 3; swaymsg -r -t get_workspaces |
        sed 's/"id": .*/"id"/'; swaymsg workspace number 1; swaymsg -p -t get_outputs; swaymsg nonsense`),
    );
    expect(direct.code).toBe(2);
    expect(direct.output).toMatch(/"num": 3.*Current mode: 640x480.*invalid command 'nonsense'/s);
    expect(through).toEqual(direct);
  });

  test('shows a client what it has, and its screen', async () => {
    const { direct, through } = await pair.both(
      ask('wayland-info && grim /tmp/shot && md5sum < /tmp/shot'),
    );
    expect(direct.output).toContain('zwlr_screencopy_manager_v1');
    expect(through).toEqual(direct);
  });

  test('shows a client’s window, pixel by pixel, and tells who waits for it', async () => {
    const seen: string[][] = [];
    for (const container of [pair.provider, pair.consumer]) {
      const before = await screenshot(container);
      const events = pair.session(
        container,
        ask(`exec swaymsg -m -t subscribe '["window", "tick"]'`),
      );
      const told: string[] = [];
      const next = async () => {
        const [, what = ''] = /"(?:change|first)": "?(\w+)/.exec(await events.line()) ?? [];
        told.push(what);
      };
      await next(); // the first tick says that it listens
      pair.session(container, ask('exec weston-clickdot'));
      while (told.at(-1) !== 'focus') await next();
      const shown = await eventually(async () => {
        const [one, two] = [await screenshot(container), await screenshot(container)];
        expect(two).toBe(one); // it is done with drawing
        expect(one).not.toBe(before);
        return one;
      });
      await pair.sh(container, ask(`swaymsg '[title="ClickDot"] kill'`));
      while (told.at(-1) !== 'close') await next();
      await eventually(async () => expect(await screenshot(container)).toBe(before));
      seen.push([shown, ...told]);
      events.kill();
    }
    expect(seen[0]?.slice(1)).toEqual(expect.arrayContaining(['new', 'title', 'focus', 'close']));
    expect(seen[1]).toEqual(seen[0]);
  });
});
