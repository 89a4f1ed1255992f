/** Debian's weston without a screen in the provider, and what is on its output. */
import type { ChildProcess } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { TestContainer } from '../../support/container.js';
import { ContainerPair } from '../../support/container-pair.js';
import type { TestDaemonOptions } from '../../support/daemon.js';
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

const TOOLS = ['weston', 'weston-simple-shm', 'weston-terminal', 'weston-screenshooter'];

export const hasWeston = (): boolean => [...TOOLS, 'wayland-info'].every(has);

export class WestonPair extends ContainerPair {
  #weston!: ChildProcess;

  constructor(daemon: TestDaemonOptions = {}) {
    super({
      daemon,
      args: ['--patience', '2'],
      link: {
        ...{ name: 'display', type: 'wayland', interface: 'wayland' },
        ...{ socket: '/run/wayland-0', target: '/run/wayland-0' },
      },
    });
  }

  override async setUp(): Promise<void> {
    await super.setUp();
    for (const container of [this.consumer, this.provider]) {
      // What an image of a container with a terminal in it has.
      cpSync('/etc/fonts', join(container.rootDir, 'etc/fonts'), { recursive: true });
      writeFileSync(join(container.rootDir, 'tmp/weston.ini'), INI);
      writeFileSync(join(container.rootDir, 'tmp/words'), WORDS, { mode: 0o755 });
      await this.sh(
        container,
        'mkdir /dev/pts; mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts; ln -s pts/ptmx /dev/ptmx',
      );
    }
    await this.startWeston();
    await this.establish();
  }

  async sh(container: TestContainer, script: string) {
    const argv = ['sh', '-c', `export XDG_RUNTIME_DIR=/run; ${script}`];
    const { code, stdout, stderr } = await container.exec(argv, { timeout: 20_000 });
    return { code, output: `${stdout}${stderr}` };
  }

  async startWeston(): Promise<void> {
    this.#weston = this.provider.run(['sh', '-c', WESTON]);
    this.#weston.stdout?.resume();
    this.#weston.stderr?.resume();
    await eventually(async () => {
      const { code } = await this.sh(this.provider, 'wayland-info | grep weston_screenshooter');
      expect(code).toBe(0);
      const [one, two] = [await this.screenshot(), await this.screenshot()];
      expect(one.equals(two)).toBe(true); // its background is there
    });
  }

  async stopWeston(): Promise<void> {
    await endBy(this.#weston, 'SIGTERM');
    await this.sh(this.provider, 'rm -f /run/wayland-0*');
  }

  async restartWeston(): Promise<void> {
    await this.stopWeston();
    await this.startWeston();
    await this.daemon.until({ display: 'established' });
  }

  /** What is on the compositor's output now, as PNG. */
  async screenshot(): Promise<Buffer> {
    const folder = join(this.provider.rootDir, 'tmp/shot');
    rmSync(folder, { recursive: true, force: true });
    const { code, output } = await this.sh(
      this.provider,
      'mkdir /tmp/shot; cd /tmp/shot; weston-screenshooter; ls',
    );
    expect(code).toBe(0);
    return readFileSync(join(folder, output.trim()));
  }
}
