/** What the device e2e tests share: two containers, the daemon between them, and a host with devices. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { startContainer, type TestContainer } from '../../support/container.js';
import { TestDaemon } from '../../support/daemon.js';
import { DeviceHost, onDeviceHost } from '../../support/device-host.js';
import { type WireLink, wireLink } from '../../support/link.js';
import { Peer } from '../../support/peer-process.js';
import { eventually } from '../../support/wait.js';

const CLIENT = readFileSync(new URL('./client.py', import.meta.url), 'utf8');

export interface DevicesOptions {
  readonly args?: readonly string[];
  readonly broker?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export class Devices {
  readonly consumer: TestContainer;
  readonly provider: TestContainer;
  readonly daemon: TestDaemon;
  readonly host: DeviceHost;
  readonly #running: ChildProcess[] = [];

  constructor(consumer: TestContainer, provider: TestContainer, daemon: TestDaemon) {
    this.consumer = consumer;
    this.provider = provider;
    this.daemon = daemon;
    this.host = new DeviceHost(daemon);
  }

  link(fields: Partial<WireLink> = {}): WireLink {
    return wireLink({
      consumer_pid: this.consumer.pid,
      provider_pid: this.provider.pid,
      name: 'card',
      type: 'drm',
      interface: 'drm',
      socket: '/dev/dri/card0',
      target: '/dev/dri/card0',
      ...fields,
    });
  }

  /** Makes these links the graph, and waits until each is in that state. The shown ones. */
  async until(state: string, ...links: WireLink[]) {
    this.daemon.set(...links);
    return this.daemon.until(Object.fromEntries(links.map(({ name }) => [name, state])));
  }

  /** Makes this link the graph, and waits until it is not established for that reason. Its message. */
  async refused(code: string, link: WireLink): Promise<string> {
    this.daemon.set(link);
    return this.withError(code);
  }

  /** Waits until the only link is not established for that reason. Its message. */
  async withError(code: string): Promise<string> {
    return eventually(async () => {
      const [shown] = await this.daemon.shown();
      expect(shown?.last_error?.code).toBe(code);
      expect(shown?.state).toMatch(/waiting|failed/);
      return shown?.last_error?.message ?? '';
    });
  }

  inConsumer(script: string): Promise<string> {
    return output(this.consumer, script);
  }

  inProvider(script: string): Promise<string> {
    return output(this.provider, script);
  }

  /** A client in the consumer, and the first line that it says. */
  async client(path: string, container = this.consumer): Promise<[Peer, string]> {
    const child = container.run(['python3', '-c', CLIENT, path]);
    this.#running.push(child);
    const peer = new Peer(child);
    return [peer, await peer.line()];
  }

  /** Ends links and programs, not the containers. */
  async reset(): Promise<void> {
    for (const child of this.#running.splice(0)) child.kill('SIGKILL');
    this.daemon.set();
    await this.daemon.until({});
    await this.inConsumer('rm -rf /dev/dri /dev/input /run/dev');
    await this.inProvider('rm -rf /dev/dri /dev/input /run/dev');
  }

  async stop(): Promise<void> {
    for (const child of this.#running.splice(0)) child.kill('SIGKILL');
    await this.daemon.stop();
    await this.consumer.kill();
    await this.provider.kill();
  }
}

async function output(container: TestContainer, script: string): Promise<string> {
  const { stdout, stderr } = await container.exec(['sh', '-c', script]);
  return `${stdout}${stderr}`.trim();
}

export async function startDevices({ args = [], broker, env }: DevicesOptions = {}) {
  const daemon = new TestDaemon(args, { prefix: onDeviceHost(broker), ...(env ? { env } : {}) });
  const [consumer, provider] = await Promise.all([
    startContainer({ name: 'consumer' }),
    startContainer({ name: 'provider' }),
    daemon.launch(),
  ]);
  return new Devices(consumer, provider, daemon);
}
