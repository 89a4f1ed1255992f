/** What the device e2e tests share: two containers, the daemon between them, and a host with devices. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { TestContainer } from '../../support/container.js';
import { ContainerPair } from '../../support/container-pair.js';
import { TestDaemon } from '../../support/daemon.js';
import { DeviceHost, onDeviceHost } from '../../support/device-host.js';
import type { WireLink } from '../../support/link.js';
import type { Peer } from '../../support/peer-process.js';
import { type IoctlRecord, standInBroker } from '../../support/stand-ins.js';
import { eventually } from '../../support/wait.js';

const CLIENT = readFileSync(new URL('./client.py', import.meta.url), 'utf8');

export interface DevicesOptions {
  readonly args?: readonly string[];
  /** The broker takes stand-ins for devices, and writes down there what it asks them. */
  readonly standIns?: IoctlRecord;
}

const LINK = {
  ...{ name: 'card', type: 'drm', interface: 'drm' },
  ...{ socket: '/dev/dri/card0', target: '/dev/dri/card0' },
};

export class Devices extends ContainerPair {
  host!: DeviceHost;

  readonly #standIns: IoctlRecord | undefined;

  constructor({ args = [], standIns }: DevicesOptions = {}) {
    super({ args, link: LINK });
    this.#standIns = standIns;
  }

  protected override makeDaemon(args: readonly string[]): TestDaemon {
    return deviceDaemon(args, this.#standIns);
  }

  override async setUp(): Promise<void> {
    await super.setUp();
    this.host = new DeviceHost(this.daemon);
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
    const peer = this.talk(container, ['python3', '-c', CLIENT, path]);
    return [peer, await peer.line()];
  }

  /** Takes the devices along. */
  override async clear(): Promise<void> {
    await super.clear();
    await this.inConsumer('rm -rf /dev/dri /dev/input /run/dev');
    await this.inProvider('rm -rf /dev/dri /dev/input /run/dev');
  }
}

/** A daemon whose host has the devices that the test makes. `program`: one that takes stand-ins by itself. */
export function deviceDaemon(
  args: readonly string[],
  standIns?: IoctlRecord,
  program?: string,
): TestDaemon {
  if (standIns && program !== undefined) {
    return new TestDaemon(args, { prefix: onDeviceHost(), env: standIns.env, program });
  }
  if (!standIns) return new TestDaemon(args, { prefix: onDeviceHost() });
  return new TestDaemon(args, { prefix: onDeviceHost(standInBroker()), env: standIns.env });
}

async function output(container: TestContainer, script: string): Promise<string> {
  const { stdout, stderr } = await container.exec(['sh', '-c', script]);
  return `${stdout}${stderr}`.trim();
}
