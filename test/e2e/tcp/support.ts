/**
 * What the tcp e2e tests share: a consumer and a provider, each in a network of its own and joined to the host by a
 * veth pair with IPv4 and IPv6, and the daemon, which listens for the consumer or for the host.
 */
import { execFileSync } from 'node:child_process';
import { afterEach, expect } from 'vitest';
import { usePair } from '../../support/container-pair.js';
import type { WireLink } from '../../support/link.js';
import type { Peer } from '../../support/peer-process.js';
import { type Cable, inNetworkOf, plugIn } from '../../support/veth.js';
import { eventually } from '../../support/wait.js';
import { UnixPair } from '../unix/support.js';

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

export class NetworkedPair extends UnixPair {
  wires!: Wires;

  constructor(args: readonly string[]) {
    super(['--patience', '3', ...args], { containers: { net: true } });
  }

  override async setUp(): Promise<void> {
    await super.setUp();
    const consumer = plugInBoth(this.consumer, NETS.consumer);
    this.wires = { consumer, provider: plugInBoth(this.provider, NETS.provider) };
  }

  /** As seen from the consumer: the host's end of its cable. */
  get host(): string {
    return this.wires.consumer.host;
  }

  /** Where an ingress link is reached. */
  get address(): string {
    return `${this.host}:8022`;
  }

  /** An ingress link of the host's to the provider. */
  ingress(fields: Partial<WireLink> = {}): WireLink {
    return this.link({
      consumer: 'EXTERNAL',
      consumer_pid: 0,
      type: 'tcp',
      interface: 'tcp',
      target: this.address,
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

  /** Starts a mode of peer.py where an ingress link leads to. */
  override serve(mode: string, ...args: string[]): Promise<Peer> {
    return this.start(this.provider, mode, SERVED, ...args);
  }

  /** Runs a program of others in the provider until `clear`. What it says in error is in `stderr`. */
  provide(argv: readonly string[], input?: string): { stderr: string } {
    const child = this.run(this.provider, argv);
    const said = { stderr: '' };
    child.stdout?.resume();
    child.stderr?.on('data', (chunk: Buffer) => {
      said.stderr += chunk.toString();
    });
    if (input !== undefined) child.stdin?.end(input);
    return said;
  }

  /** Nobody listens then where the provider is looked for. */
  override async clear(): Promise<void> {
    await super.clear();
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

/** Call it within `describe`: after each test nothing is left but containers and daemon. `args`: of the daemon. */
export function useNetworkedPair(...args: string[]): NetworkedPair {
  const pair = usePair(new NetworkedPair(args));
  afterEach(() => pair.clear());
  return pair;
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
