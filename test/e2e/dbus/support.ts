/** What the D-Bus e2e tests share: a consumer, a provider with a real dbus-daemon, the daemon between them, clients. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { MessageBus } from 'dbus-next';
import dbus from 'dbus-next';
import { afterEach } from 'vitest';
import { ContainerPair, usePair } from '../../support/container-pair.js';
import type { TestDaemonOptions } from '../../support/daemon.js';
import type { WireLink } from '../../support/link.js';
import { eventually } from '../../support/wait.js';

export const SOCKET = '/run/example/bus.sock';
export const TARGET = '/run/pv/services/bus.sock';
export const WHO = 'org.example.Who';

const FILES = readFileSync(new URL('./files.py', import.meta.url), 'utf8');

/** A dbus-daemon lets nobody in whom its own passwd does not know. */
export const USERS = 'app:x:4711:4711::/:\noperator:x:1234:4321::/:\n';

/** As open as a bus can be: what is refused is refused by us. */
export const CONFIG = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=${SOCKET}</listen>
  <limit name="max_replies_per_connection">10000</limit>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow send_type="method_call"/>
    <allow receive_sender="*" eavesdrop="true"/>
  </policy>
</busconfig>
`;

const LINK = { name: 'bus', type: 'dbus', interface: 'dbus', target: TARGET, socket: SOCKET };

export class BusPair extends ContainerPair {
  readonly #busses: MessageBus[] = [];
  #bus: ChildProcess | null = null;

  constructor(args: readonly string[], daemon: TestDaemonOptions = {}) {
    super({ args, link: LINK, daemon });
  }

  override async setUp(): Promise<void> {
    await super.setUp();
    await this.startBus();
  }

  /** Starts the provider's bus. */
  async startBus(): Promise<void> {
    const write = `mkdir -p /run/example && cat > /run/bus.conf`;
    await this.provider.exec(['sh', '-c', write], { input: CONFIG });
    await this.provider.exec(['sh', '-c', 'cat >> /etc/passwd'], { input: USERS });
    this.#bus = this.provider.run(['dbus-daemon', '--config-file=/run/bus.conf', '--nofork']);
    await eventually(async () => {
      const { code } = await this.provider.exec(['test', '-S', SOCKET]);
      if (code !== 0) throw new Error('the bus does not listen');
    });
  }

  killBus(): void {
    this.#bus?.kill('SIGKILL');
  }

  /** As of any pair, and until its policy is the new one. */
  override establish(fields: Partial<WireLink> = {}): Promise<void> {
    return this.establishAll(this.link(fields));
  }

  async establishAll(...links: WireLink[]): Promise<void> {
    this.daemon.set(...links);
    const wanted = (link: WireLink) =>
      JSON.stringify([link.target, link.role, link.policy, link.policy_mode, 'established']);
    await eventually(async () => {
      const shown = (await this.daemon.shown()).map((link) =>
        JSON.stringify([link.target, link.role, link.policy, link.policy_mode, link.state]),
      );
      if (shown.sort().join() !== links.map(wanted).sort().join()) {
        throw new Error(`the links are ${shown}`);
      }
    });
  }

  /** A dbus-next client on the provider's own bus, as root. */
  direct(): Promise<MessageBus> {
    return this.#connect(this.provider.rootDir + SOCKET);
  }

  /** A dbus-next client on the consumer's socket. */
  through(target = TARGET): Promise<MessageBus> {
    return this.#connect(this.consumer.rootDir + target);
  }

  /** A dbus-next client on that socket, by its path on the host. */
  clientAt(path: string): Promise<MessageBus> {
    return this.#connect(path);
  }

  async #connect(path: string): Promise<MessageBus> {
    const bus = dbus.sessionBus({ busAddress: `unix:socket=${path}` });
    this.#busses.push(bus);
    await new Promise<void>((resolve, reject) => {
      bus.once('connect', () => resolve());
      bus.once('error', reject);
    });
    bus.on('error', () => undefined);
    return bus;
  }

  /** A service on the provider's bus that tells each caller who the bus says that it is. */
  async serveWho(): Promise<void> {
    const bus = await this.direct();
    await bus.requestName(WHO, 0);
    bus.addMethodHandler((message: dbus.Message) => {
      if (message.interface !== WHO) return false;
      void askBus(bus, 'GetConnectionUnixUser', String(message.sender)).then((uid) => {
        bus.send(dbus.Message.newMethodReturn(message, 'u', [uid]));
      });
      return true;
    });
  }

  /** Owns a name on the provider's bus, and answers every call of it with "ok"; the client is for its signals. */
  async serve(name: string): Promise<MessageBus> {
    const bus = await this.direct();
    await bus.requestName(name, 0);
    bus.addMethodHandler((message: dbus.Message) => {
      if (message.type !== dbus.MessageType.METHOD_CALL) return false;
      bus.send(dbus.Message.newMethodReturn(message, 's', ['ok']));
      return true;
    });
    return bus;
  }

  /** The same for each of these names, by name. */
  async serveAll(...names: string[]): Promise<Record<string, MessageBus>> {
    const services: Record<string, MessageBus> = {};
    for (const name of names) services[name] = await this.serve(name);
    return services;
  }

  /** Runs a program in the consumer to its end; its output, or an Error with what it said. */
  async ask(...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.consumer.exec(argv, { timeout: 15_000 });
    if (code !== 0) throw new Error(`${argv[0]}: ${stderr.trim() || stdout.trim()}`);
    return stdout.trim();
  }

  /** Ends the clients of the test's own. */
  disconnect(): void {
    for (const bus of this.#busses.splice(0)) bus.disconnect();
  }

  override reset(): void {
    super.reset();
    this.disconnect();
  }
}

/** The answer of the bus itself, or the name of its error. */
export function askBus(bus: MessageBus, member: string, ...names: string[]): Promise<unknown> {
  const options = { path: '/org/freedesktop/DBus', signature: 's'.repeat(names.length) };
  return call(bus, 'org.freedesktop.DBus', member, { ...options, body: names });
}

/** The answer's body, or the name of the error. */
export async function call(
  bus: MessageBus,
  destination: string,
  member: string,
  { path = '/', interface: of = destination, signature = '', body = [] as unknown[] } = {},
): Promise<unknown> {
  const message = new dbus.Message({ destination, path, interface: of, member, signature, body });
  try {
    const answer = await bus.call(message);
    return answer?.body.length === 1 ? answer.body[0] : answer?.body;
  } catch (error) {
    return (error as { type?: string }).type ?? error;
  }
}

export function nameOf(bus: MessageBus): string {
  return (bus as unknown as { name: string }).name;
}

export function requestName(bus: MessageBus, name: string): Promise<unknown> {
  const options = { signature: 'su', body: [name, 0] };
  return call(bus, 'org.freedesktop.DBus', 'RequestName', options);
}

/** Resolves when the connection of a client is over. */
export function overOf(bus: MessageBus): Promise<unknown> {
  return new Promise((resolve) => {
    (bus as unknown as { _connection: NodeJS.EventEmitter })._connection.once('end', resolve);
  });
}

/** Has a service and a client of it hand descriptors to each other; "ok" where they did. */
export async function passFiles(pair: BusPair): Promise<string> {
  const program = ['/usr/bin/python3', '-c', FILES];
  const service = pair.talk(pair.provider, [...program, 'serve', `unix:path=${SOCKET}`]);
  await service.line();
  return pair.ask(...program, 'client', `unix:path=${TARGET}`);
}

/** Call it within `describe`; no client is left after a test. `args`: of the daemon. */
export function useBusPair(...args: string[]): BusPair {
  const pair = usePair(new BusPair(args));
  afterEach(() => pair.reset());
  return pair;
}
