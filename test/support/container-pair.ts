/** A consumer and a provider in real containers, the daemon between them, and the programs that a test runs in them. */
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll } from 'vitest';
import { type ContainerOptions, startContainer, type TestContainer } from './container.js';
import { TestDaemon, type TestDaemonOptions } from './daemon.js';
import { type WireLink, wireLink } from './link.js';
import { Peer } from './peer-process.js';

export interface PairOptions {
  /** Of the daemon. */
  readonly args?: readonly string[];
  /** Fields of the links, unless a test gives them others. */
  readonly link?: Partial<WireLink>;
  /** Of both containers. */
  readonly containers?: Omit<ContainerOptions, 'name'>;
  readonly daemon?: TestDaemonOptions;
}

export class ContainerPair {
  consumer!: TestContainer;
  provider!: TestContainer;
  daemon!: TestDaemon;
  readonly #options: PairOptions;
  readonly #programs: ChildProcess[] = [];

  constructor(options: PairOptions) {
    this.#options = options;
  }

  async setUp(): Promise<void> {
    const { args = [], link, containers } = this.#options;
    this.daemon = this.makeDaemon(args);
    const started = (name: string) => startContainer({ name, ...containers });
    [this.consumer, this.provider] = await Promise.all([
      started(link?.consumer ?? 'consumer'),
      started('provider'),
      this.daemon.launch(),
    ]);
  }

  protected makeDaemon(args: readonly string[]): TestDaemon {
    return new TestDaemon(args, this.#options.daemon);
  }

  /** A link between the two as they run now. */
  link(fields: Partial<WireLink> = {}): WireLink {
    const pids = { consumer_pid: this.consumer.pid, provider_pid: this.provider.pid };
    return wireLink({ ...pids, ...this.#options.link, ...fields });
  }

  /** Makes this link the graph, and waits until it is established. */
  async establish(fields: Partial<WireLink> = {}): Promise<void> {
    const link = this.link(fields);
    this.daemon.set(link);
    await this.daemon.until({ [link.name]: 'established' });
  }

  /** Runs a program in a container until `reset`, at the longest. */
  run(container: TestContainer, argv: readonly string[]): ChildProcess {
    const child = container.run(argv);
    this.#programs.push(child);
    return child;
  }

  /** The same, to talk with. */
  talk(container: TestContainer, argv: readonly string[]): Peer {
    return new Peer(this.run(container, argv));
  }

  /** With one more container, which is there until its links are gone. */
  async withContainer(
    options: ContainerOptions,
    use: (container: TestContainer) => Promise<void>,
  ): Promise<void> {
    const container = await startContainer(options);
    try {
      await use(container);
    } finally {
      await this.daemon.clear();
      await container.kill();
    }
  }

  /** Ends the programs, not the links and not the containers. */
  reset(): void {
    for (const child of this.#programs.splice(0)) child.kill('SIGKILL');
  }

  /** Ends programs and links. */
  async clear(): Promise<void> {
    this.reset();
    await this.daemon.clear();
  }

  async tearDown(): Promise<void> {
    this.reset();
    await this.daemon?.stop();
    await this.consumer?.kill();
    await this.provider?.kill();
  }
}

/** Call it within `describe`: there before the first test, gone after the last. */
export function usePair<T extends ContainerPair>(pair: T): T {
  beforeAll(() => pair.setUp());
  afterAll(() => pair.tearDown());
  return pair;
}
