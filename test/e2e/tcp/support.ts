/**
 * What the tcp e2e tests share: a consumer and a provider, each in a network of its own and joined to the host by a
 * veth pair with IPv4 and IPv6, and the daemon, which listens for the consumer or for the host.
 */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { expect } from 'vitest';
import { startContainer } from '../../support/container.js';
import { startDaemon } from '../../support/daemon.js';
import type { WireLink } from '../../support/link.js';
import { type Cable, inNetworkOf, plugIn } from '../../support/veth.js';
import { eventually } from '../../support/wait.js';
import { Pair } from '../unix/support.js';

export const MiB = 1024 * 1024;
/** Where the provider listens, in its own network. */
export const SERVED = '127.0.0.1:4000';
/** The consumer's cable is 10.213.50.0/24 and fd00:213:50::/64, the provider's the same with 51. */
const NETS = { consumer: 50, provider: 51 };

export interface Wires {
  readonly consumer: DualCable;
  readonly provider: DualCable;
}

/** `host6` and `container6` are the ends' IPv6 addresses, without brackets. */
export interface DualCable extends Cable {
  readonly host6: string;
  readonly container6: string;
}

export class NetworkedPair extends Pair {
  wires: Wires;
  readonly #programs: ChildProcess[] = [];

  constructor(parts: Pair, wires: Wires) {
    super(parts.consumer, parts.provider, parts.daemon);
    this.wires = wires;
  }

  /** As seen from the consumer: the host's end of its cable. */
  get host(): string {
    return this.wires.consumer.host;
  }

  /** An ingress link of the host's to the provider. */
  ingress(fields: Partial<WireLink> = {}): WireLink {
    return this.link({
      consumer: 'EXTERNAL',
      consumer_pid: 0,
      type: 'tcp',
      interface: 'tcp',
      target: `${this.host}:8022`,
      socket: SERVED,
      ...fields,
    });
  }

  async ingressEstablished(fields: Partial<WireLink> = {}): Promise<void> {
    await this.#isMade(this.ingress(fields));
  }

  /** Makes this link the graph. One of the same name, with other fields, may be established already. */
  async #isMade(link: WireLink): Promise<void> {
    this.daemon.set(link);
    await eventually(async () => {
      expect(await this.daemon.shown()).toEqual([expect.objectContaining(link)]);
    });
    await this.daemon.until({ [link.name]: 'established' });
  }

  /** Runs a program of others in the provider until `clear`. What it says in error is in `stderr`. */
  provide(argv: readonly string[], input?: string): { stderr: string } {
    const child = this.provider.run(argv);
    const said = { stderr: '' };
    child.stdout?.resume();
    child.stderr?.on('data', (chunk: Buffer) => {
      said.stderr += chunk.toString();
    });
    if (input !== undefined) child.stdin?.end(input);
    this.#programs.push(child);
    return said;
  }

  /** Ends programs and links. Nobody listens then where the provider is looked for. */
  async clear(): Promise<void> {
    this.reset();
    for (const child of this.#programs.splice(0)) child.kill('SIGKILL');
    this.daemon.set();
    await this.daemon.until({});
    await this.untilNobodyListens();
  }

  async untilNobodyListens(): Promise<void> {
    const knock = ['nc.openbsd', '-z', '127.0.0.1', '4000'];
    await eventually(async () => {
      expect((await this.provider.exec(knock)).code).toBe(1);
    });
  }

  /** After the provider was made anew: its network is a new one too. */
  async plugProviderIn(): Promise<void> {
    // Its old network, and the cable into that, goes a moment after it.
    const provider = await eventually(() => plugInBoth(this.provider, NETS.provider));
    this.wires = { ...this.wires, provider };
  }
}

export async function startNetworkedPair(...daemonArgs: string[]): Promise<NetworkedPair> {
  const [consumer, provider, daemon] = await Promise.all([
    startContainer({ name: 'consumer', net: true }),
    startContainer({ name: 'provider', net: true }),
    startDaemon('--patience', '3', ...daemonArgs),
  ]);
  const wires = {
    consumer: plugInBoth(consumer, NETS.consumer),
    provider: plugInBoth(provider, NETS.provider),
  };
  return new NetworkedPair(new Pair(consumer, provider, daemon), wires);
}

function plugInBoth(container: Parameters<typeof plugIn>[0], net: number): DualCable {
  const cable = plugIn(container, net);
  const [host6, container6] = [`fd00:213:${net}::1`, `fd00:213:${net}::2`];
  const add = (ip: string, device: string) =>
    ['ip', '-6', 'addr', 'add', `${ip}/64`, 'dev', device, 'nodad'] as const;
  run(...add(host6, `pvxt${net}`));
  run(...inNetworkOf(container), ...add(container6, 'eth0'));
  return { ...cable, host6, container6 };
}

function run(program = '', ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: 'pipe' });
}
