/** The real daemon with --state, containers of its revision, and the commands that look at them. */
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { ContainerEnd } from '../../../src/graph/link.js';
import { commandOf, type Told } from '../../support/command.js';
import {
  type ContainerOptions,
  startContainer,
  type TestContainer,
} from '../../support/container.js';
import { TestDaemon } from '../../support/daemon.js';
import { eventually } from '../../support/wait.js';

export class SeenMesh {
  readonly folder = mkdtempSync(join(tmpdir(), 'pvx-seen-'));
  readonly state = join(this.folder, 'state');
  readonly daemon: TestDaemon;
  readonly containers = new Map<string, TestContainer>();
  /** Pids that are none of our containers'. */
  readonly pids: Record<string, number> = {};
  /** How containers ended that do not run. */
  readonly ends: Record<string, ContainerEnd> = {};

  constructor(...args: string[]) {
    mkdirSync(this.state);
    chmodSync(this.folder, 0o755); // the daemon is an ordinary user
    const pids = join(this.folder, 'pids.json');
    const storage = join(this.folder, 'storage');
    this.daemon = new TestDaemon([
      '--state',
      this.state,
      '--pids',
      pids,
      '--storage',
      storage,
      ...args,
    ]);
  }

  async run(options: ContainerOptions): Promise<TestContainer> {
    const container = await startContainer(options);
    this.containers.set(options.name, container);
    return container;
  }

  write(files: Readonly<Record<string, unknown>>): void {
    for (const [path, value] of Object.entries(files)) {
      replace(join(this.state, path), typeof value === 'string' ? value : JSON.stringify(value));
    }
  }

  writePids(): void {
    const running = [...this.containers].map(([name, { pid }]) => [name, pid] as const);
    const ended = Object.entries(this.ends).map(([name, end]) => [name, { pid: 0, end }] as const);
    const pids = { ...Object.fromEntries([...running, ...ended]), ...this.pids };
    replace(join(this.folder, 'pids.json'), JSON.stringify(pids));
  }

  /** What a command of pv-xconnect prints about this daemon, and its exit code. */
  command(...args: string[]): Promise<Told> {
    return commandOf(this.daemon.control, ...args);
  }

  /** Waits until each link of `client` has that code as its error; null: it is established. `meanwhile` is done before each look. */
  async codes(
    wanted: Readonly<Record<string, string | null>>,
    meanwhile: () => Promise<unknown> = () => Promise.resolve(),
  ): Promise<void> {
    const look = async () => {
      await meanwhile();
      const shown = await this.daemon.shown();
      const own = shown.filter(({ consumer, state }) => consumer === 'client' && state !== 'unmet');
      const codes = own.map(({ name, state, last_error }) => {
        return [name, state === 'established' ? null : last_error?.code] as const;
      });
      expect(Object.fromEntries(codes)).toMatchObject(wanted);
    };
    await eventually(look, { timeoutMs: 20_000 });
  }

  async stop(): Promise<void> {
    await this.daemon.stop();
    for (const container of this.containers.values()) await container.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function replace(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}
