/**
 * What the http e2e tests share: a client in a network of its own, joined to the host by a veth pair; providers in
 * theirs; and the daemon, which answers for the host at the host's end of the cable.
 */
import { type ChildProcess, execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startContainer, type TestContainer } from '../../support/container.js';
import { startDaemon, type TestDaemon } from '../../support/daemon.js';
import { type WireLink, wireLink } from '../../support/link.js';
import { type Cable, inNetworkOf, plugIn } from '../../support/veth.js';
import { eventually } from '../../support/wait.js';
import { startNode, type Where } from './providers.js';

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Town {
  readonly daemon: TestDaemon;
  readonly client: TestContainer;
  readonly cable: Cable;
  readonly containers = new Map<string, TestContainer>();
  /** Certificates of the host. */
  readonly certificates: string;
  readonly #running = new Map<string, ChildProcess>();

  constructor(daemon: TestDaemon, client: TestContainer, cable: Cable, certificates: string) {
    this.daemon = daemon;
    this.client = client;
    this.cable = cable;
    this.certificates = certificates;
  }

  /** A container of that name in a network of its own. */
  async container(name: string): Promise<TestContainer> {
    const made = await startContainer({ name, net: true });
    this.containers.set(name, made);
    return made;
  }

  /** Runs a provider in its container; what ran there before is killed. */
  serve(name: string, start: (container: TestContainer) => ChildProcess): ChildProcess {
    this.stopServing(name);
    const child = start(this.containers.get(name) as TestContainer);
    child.stdout?.resume();
    child.stderr?.resume();
    this.#running.set(name, child);
    return child;
  }

  /** A container with a provider in Node.js that answers with its own name. */
  async node(name: string, where: Where): Promise<void> {
    await this.container(name);
    this.serve(name, (container) => startNode(container, where, name));
  }

  stopServing(name: string): void {
    this.#running.get(name)?.kill('SIGKILL');
    this.#running.delete(name);
  }

  /** An ingress link to a container's `where`. `path`: what follows the port in its target. */
  link(provider: string, where: Where, path: string, fields: Partial<WireLink> = {}): WireLink {
    return wireLink({
      consumer: 'EXTERNAL',
      provider,
      provider_pid: this.containers.get(provider)?.pid ?? 0,
      name: provider,
      type: 'http',
      interface: 'http',
      target: `${this.cable.host}:80${path}`,
      socket: 'socket' in where ? where.socket : `127.0.0.1:${where.port}`,
      transport: 'socket' in where ? 'unix' : 'tcp',
      ...fields,
    });
  }

  /** Makes these links the graph, and waits until they are established as they are given. */
  async establish(...links: WireLink[]): Promise<void> {
    this.daemon.set(...links);
    const wanted = compared(links.map((link) => ({ ...link, state: 'established' })));
    await eventually(
      async () => expect(compared(await this.daemon.shown())).toMatchObject(wanted),
      { timeoutMs: 15_000 },
    );
  }

  url(path: string): string {
    return `http://${this.cable.host}${path}`;
  }

  /** Runs a program of the host in the client's network to its end. */
  run(argv: readonly string[], input?: Buffer | string, timeout = 120_000): Promise<Output> {
    const [program = '', ...args] = [...inNetworkOf(this.client), ...argv];
    return new Promise((resolve) => {
      const options = { maxBuffer: 64 * 1024 * 1024, timeout };
      const child = execFile(program, args, options, (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code ?? 255) : 0, stdout, stderr });
      });
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });
  }

  /** curl in the client's network; its standard output. Rejects where it fails. */
  async curl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(['curl', '-sS', '--max-time', '30', ...args]);
    if (code !== 0) throw new Error(`curl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  async stop(): Promise<void> {
    for (const name of [...this.#running.keys()]) this.stopServing(name);
    await this.daemon.stop();
    for (const container of [this.client, ...this.containers.values()]) await container.kill();
    rmSync(this.certificates, { recursive: true, force: true });
  }

  /** A certificate for these names, signed by itself, as `<file>.pem` and `<file>.key` among the host's. */
  certify(file: string, ...names: string[]): void {
    const [cert, key] = ['pem', 'key'].map((end) => join(this.certificates, `${file}.${end}`));
    const subject = `/CN=${names[0]}`;
    const alternatives = names.map((name) => `DNS:${name}`).join(',');
    const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '30'];
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-nodes', ...options, '-subj', subject],
        ...['-addext', `subjectAltName=${alternatives}`, '-keyout', key, '-out', cert],
      ] as string[],
      { stdio: 'pipe' },
    );
  }
}

/** By name; with what may be missing and would then match anything. */
function compared(links: readonly WireLink[]): Record<string, unknown>[] {
  return links
    .map(({ rules = null, http = null, host = null, ...link }) => ({ ...link, rules, http, host }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** `net`: the cable's, see veth.ts; one for each file of tests. */
export async function startTown(net: number, ...daemonArgs: string[]): Promise<Town> {
  const certificates = mkdtempSync(join(tmpdir(), 'pvx-certificates-'));
  const [daemon, client] = await Promise.all([
    startDaemon('--certificates', certificates, ...daemonArgs),
    startContainer({ name: 'client', net: true }),
  ]);
  try {
    return new Town(daemon, client, plugIn(client, net), certificates);
  } catch (thrown) {
    await Promise.all([daemon.stop(), client.kill()]);
    throw thrown;
  }
}
