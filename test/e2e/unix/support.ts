/** What the unix e2e tests share: two containers, the daemon between them, and programs in both. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { startContainer, type TestContainer } from '../../support/container.js';
import { startDaemon, type TestDaemon } from '../../support/daemon.js';
import { type WireLink, wireLink } from '../../support/link.js';
import { Peer } from '../../support/peer-process.js';

const PEER = readFileSync(new URL('./peer.py', import.meta.url), 'utf8');
export const TARGET = '/run/pv/services/raw.sock';
export const SOCKET = '/run/example/raw.sock';

export class Pair {
  readonly consumer: TestContainer;
  readonly provider: TestContainer;
  readonly daemon: TestDaemon;
  readonly #running: ChildProcess[] = [];

  constructor(consumer: TestContainer, provider: TestContainer, daemon: TestDaemon) {
    this.consumer = consumer;
    this.provider = provider;
    this.daemon = daemon;
  }

  /** A link between the two as they run now. */
  link(fields: Partial<WireLink> = {}): WireLink {
    return wireLink({
      consumer_pid: this.consumer.pid,
      provider_pid: this.provider.pid,
      ...fields,
    });
  }

  /** Makes this link the graph, and waits until it is established. */
  async establish(fields: Partial<WireLink> = {}): Promise<void> {
    const link = this.link(fields);
    this.daemon.set(link);
    await this.daemon.until({ [link.name]: 'established' });
  }

  /** Runs a mode of peer.py to its end. Rejects where it fails. */
  async ask(mode: string, ...args: string[]): Promise<string> {
    const argv = ['python3', '-c', PEER, mode, ...args];
    const { code, stdout, stderr } = await this.consumer.exec(argv, { timeout: 60_000 });
    if (code !== 0) throw new Error(`${mode} failed: ${stderr}`);
    return stdout.trim();
  }

  /** Starts a mode of peer.py and waits for its first line. */
  async start(container: TestContainer, mode: string, ...args: string[]): Promise<Peer> {
    const child = container.run(['python3', '-c', PEER, mode, ...args]);
    this.#running.push(child);
    const peer = new Peer(child);
    await peer.line();
    return peer;
  }

  serve(mode: string, ...args: string[]): Promise<Peer> {
    return this.start(this.provider, mode, SOCKET, ...args);
  }

  /** Ends the programs, not the containers. */
  reset(): void {
    for (const child of this.#running.splice(0)) child.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.reset();
    await this.daemon.stop();
    await this.consumer.kill();
    await this.provider.kill();
  }
}

export async function startPair(...daemonArgs: string[]): Promise<Pair> {
  const [consumer, provider, daemon] = await Promise.all([
    startContainer({ name: 'consumer' }),
    startContainer({ name: 'provider' }),
    startDaemon(...daemonArgs),
  ]);
  return new Pair(consumer, provider, daemon);
}
