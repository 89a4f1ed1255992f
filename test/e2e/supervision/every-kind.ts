/** Links of every kind between two containers, for devices on a host of the test's own with stand-ins for them. */
import { readFileSync } from 'node:fs';
import type { TestDaemon } from '../../support/daemon.js';
import type { WireLink } from '../../support/link.js';
import { IoctlRecord } from '../../support/stand-ins.js';
import { eventually } from '../../support/wait.js';
import { SOCKET as BUS_SOCKET, CONFIG } from '../dbus/support.js';
import { deviceDaemon } from '../devices/support.js';
import { startNode } from '../http/providers.js';
import { type Kind, RELAYED, SupervisedPair } from './support.js';

const COMPOSITOR = readFileSync(new URL('../wayland/compositor.py', import.meta.url), 'utf8');
const DISPLAY = '/run/display/wayland-0';
const WEB = '/run/web/api.sock';
const KEYS = '/run/dev/keys';
const NODE = '/dev/dri/card0';
const again = (kind: Kind, link: Partial<WireLink> = {}): Kind => ({
  ...kind,
  link: { ...kind.link, ...link },
});
const { stream, bytes, seqpacket, dgram, tcp } = RELAYED;
const dbus = { type: 'dbus', interface: 'dbus', socket: BUS_SOCKET };
const rest = { type: 'rest', interface: 'rest', socket: WEB };
const port = (number: number) => `127.0.0.1:${number}`;

/** 19 of them have traffic; the node has none. */
const KINDS = {
  ...RELAYED,
  stream2: again(stream),
  bytes2: again(bytes),
  seqpacket2: again(seqpacket),
  dgram2: again(dgram),
  tcp2: again(tcp, { target: port(4002) }),
  ports: {
    link: {
      type: 'tcp',
      interface: 'tcp',
      transport: 'tcp',
      target: port(4003),
      socket: port(4004),
    },
    type: 'tcp',
    served: 'stream',
  },
  display: {
    link: { type: 'wayland', interface: 'wayland', socket: DISPLAY, target: '/run/wayland-0' },
    type: 'wayland',
  },
  bus: { link: dbus, type: 'bus' },
  guarded: {
    link: { ...dbus, policy: { see: ['org.example.*'] } },
    type: 'bus',
    isRead: true,
  },
  rest: { link: rest, type: 'http', isRead: true },
  rest2: { link: rest, type: 'http', isRead: true },
  http: {
    link: { type: 'http', interface: 'http', target: port(4005), socket: WEB, transport: 'unix' },
    type: 'http',
    isRead: true,
  },
  keys: { link: { type: 'input', device: 'fd', socket: KEYS }, type: 'device', isRead: true },
  keys2: { link: { type: 'input', device: 'fd', socket: KEYS }, type: 'device', isRead: true },
  node: { link: { type: 'drm', interface: 'drm', socket: NODE, target: NODE }, type: 'none' },
} satisfies Record<string, Kind>;

export class EveryKind extends SupervisedPair {
  override readonly kinds: Record<string, Kind> = KINDS;
  readonly #record = new IoctlRecord();

  readonly #program: string | undefined;

  /** `program`: another pv-xconnect than ours, whose broker takes stand-ins for devices. */
  constructor(args: readonly string[], program?: string) {
    super(args);
    this.#program = program;
  }

  protected override makeDaemon(args: readonly string[]): TestDaemon {
    return deviceDaemon(args, this.#record, this.#program);
  }

  override async setUp(): Promise<void> {
    await super.setUp();
    await this.inProvider(`mkdir -p /run/example /run/web /run/dev /dev/dri
      mknod ${KEYS} c 1 5; mknod ${NODE} c 226 0; echo '${CONFIG}' > /run/bus.conf`);
    const bus = this.provider.run(['dbus-daemon', '--config-file=/run/bus.conf', '--nofork']);
    const web = startNode(this.provider, { socket: WEB }, 'here');
    const display = this.provider.run(['python3', '-c', COMPOSITOR, DISPLAY, 'context']);
    for (const { stdout, stderr } of [bus, web, display]) {
      stdout?.resume();
      stderr?.on('data', (text: Buffer) => process.stderr.write(text));
    }
    await eventually(() =>
      this.inProvider(`test -S ${BUS_SOCKET} && test -S ${WEB} && test -S ${DISPLAY}`),
    );
  }

  override async tearDown(): Promise<void> {
    await super.tearDown();
    this.#record.remove();
  }

  async inProvider(script: string): Promise<void> {
    const { code, stderr } = await this.provider.exec(['sh', '-c', script]);
    if (code !== 0) throw new Error(stderr);
  }
}
