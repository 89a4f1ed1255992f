/** The host layer on a real broker, and a container at each end of the link that a plugin serves. */
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import type { LinkError } from '../../../src/kernel/errors.js';
import { valueOrThrow } from '../../../src/kernel/result.js';
import type { AttachedLink, AttachedListener } from '../../../src/mesh/attacher.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { startHost, type TestHost, type TestHostOptions } from '../../support/host.js';
import { unixLink } from '../../support/link.js';
import { eventually } from '../../support/wait.js';

/** What a link said of itself. */
export class Recorder implements AttachedListener {
  readonly states: [string, string | null][] = [];
  readonly lost: LinkError[] = [];

  onState(state: string, error: LinkError | null): void {
    this.states.push([state, error?.code ?? null]);
  }

  onLost(error: LinkError): void {
    this.lost.push(error);
  }
}

/** Something that a test may close before it ends. */
interface Closable {
  close(): Promise<void>;
}

export interface PluginStandOptions extends TestHostOptions {
  /** Fields of every link. */
  readonly link?: Partial<Link>;
  /** The consumer has a network of its own. */
  readonly net?: boolean;
}

export class PluginStand {
  host!: TestHost;
  consumer!: TestContainer;
  provider!: TestContainer;
  /** Of the links of this test. */
  recorder = new Recorder();
  readonly #options: PluginStandOptions;
  readonly #open = new Set<AttachedLink | Closable>();

  constructor(options: PluginStandOptions) {
    this.#options = options;
  }

  async setUp(): Promise<void> {
    const { link: _, net = false, ...host } = this.#options;
    this.host = await startHost(host);
    this.consumer = await startContainer({ name: 'consumer', net });
    this.provider = await startContainer({ name: 'provider' });
  }

  async handleOf(container: TestContainer): Promise<number> {
    const held = await this.host.containers.retain(container.name, container.pid, 0);
    return valueOrThrow(held).handle;
  }

  link(fields: Partial<Link> = {}): Link {
    const pids = { consumerPid: this.consumer.pid, providerPid: this.provider.pid };
    return unixLink({ ...pids, ...this.#options.link, ...fields });
  }

  /** Until the end of the test, at the longest. */
  async attach(link = this.link()): Promise<AttachedLink> {
    const attached = await this.host.attacher.attach(link, 0, this.recorder);
    this.#open.add(attached);
    return attached;
  }

  /** Waits until the link last said that it is in that state, for that reason. */
  async untilState(state: string, code: string | null = null): Promise<void> {
    await eventually(() => expect(this.recorder.states.at(-1)).toEqual([state, code]));
  }

  /** Has it closed at the end of the test, where that was not done before. */
  closing<T extends Closable>(thing: T): T {
    this.#open.add(thing);
    return thing;
  }

  async close(thing: Closable): Promise<void> {
    this.#open.delete(thing);
    await thing.close();
  }

  async clear(): Promise<void> {
    for (const thing of this.#open) {
      await ('detach' in thing ? thing.detach(0).done : thing.close());
    }
    this.#open.clear();
  }

  async tearDown(): Promise<void> {
    await this.host?.stop();
    await this.consumer?.kill();
    await this.provider?.kill();
  }
}

/** Call it within `describe`: no link is left after a test. */
export function usePluginStand(options: PluginStandOptions = {}): PluginStand {
  const stand = new PluginStand(options);
  beforeAll(() => stand.setUp());
  beforeEach(() => {
    stand.recorder = new Recorder();
  });
  afterEach(() => stand.clear());
  afterAll(() => stand.tearDown());
  return stand;
}
