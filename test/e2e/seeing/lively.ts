/** A mesh with a link of each kind that carries something, and clients that hold connections to them. */
import type { ChildProcess } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { pythonOf } from '../../support/python.js';
import { eventually } from '../../support/wait.js';
import { SeenMesh } from './support.js';

const ENDS = pythonOf(import.meta.url, 'ends.py');

const BUS = `<busconfig>
  <listen>unix:path=/run/s/bus</listen>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/> <allow send_type="method_call"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
`;

const SERVICES = [
  { name: 'raw', type: 'unix', socket: '/run/s/raw' },
  { name: 'notes', type: 'unix', socket: '/run/s/notes', mode: 'dgram' },
  { name: 'api', type: 'rest', socket: '/run/s/api' },
  { name: 'port', type: 'tcp', port: 7001 },
  { name: 'site', type: 'http', port: 7002 },
  { name: 'bus', type: 'dbus', socket: '/run/s/bus' },
  { name: 'ruled', type: 'dbus', socket: '/run/s/bus', policy: { root: { see: ['*'] } } },
];
const FILES = {
  'server/services.json': { '#spec': 'service-manifest-xconnect@1', services: SERVICES },
  'client/run.json': {
    services: {
      required: [
        ...['raw', 'notes', 'api'],
        { name: 'port', target: '127.0.0.1:7101' },
        { name: 'site', target: '127.0.0.1:7102' },
        { name: 'bus', role: 'root' },
        { name: 'ruled', role: 'root' },
      ],
    },
  },
};

export const WHERE: Readonly<Record<string, readonly [kind: string, where: string]>> = {
  raw: ['stream', '/run/pv/services/raw.sock'],
  notes: ['dgram', '/run/pv/services/notes.sock'],
  api: ['http', '/run/pv/services/api.sock'],
  port: ['stream', '127.0.0.1:7101'],
  site: ['http', '127.0.0.1:7102'],
  bus: ['dbus', '/run/pv/services/bus.sock'],
  ruled: ['dbus', '/run/pv/services/ruled.sock'],
};

/** A client that holds a connection. */
export class Holder {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.on('data', (text) => process.stderr.write(text));
    this.#lines = createInterface(child.stdout as NodeJS.ReadableStream);
  }

  /** What it was told next. */
  said(): Promise<string> {
    return new Promise((resolve) => {
      this.#lines.once('line', (line) => resolve(line.replace('ready ', '')));
    });
  }

  again(): Promise<string> {
    const said = this.said();
    this.#child.stdin?.write('\n');
    return said;
  }

  leave(): void {
    this.#child.stdin?.end();
  }
}

export class LivelyMesh extends SeenMesh {
  async begin(): Promise<void> {
    const [server] = await Promise.all([
      this.run({ name: 'server', net: true }),
      this.run({ name: 'client', net: true, userns: true }),
    ]);
    for (const container of this.containers.values()) {
      await container.exec(['sh', '-c', 'cat > /run/ends.py'], { input: ENDS });
    }
    const serving = new Holder(server.run(['python3', '/run/ends.py', 'serve']));
    await serving.said();
    await server.exec(['sh', '-c', 'cat > /run/bus.conf'], { input: BUS });
    server.run(['dbus-daemon', '--config-file=/run/bus.conf', '--nofork']);
    this.write(FILES);
    this.writePids();
    await this.daemon.launch();
    await eventually(() =>
      this.codes(Object.fromEntries(Object.keys(WHERE).map((n) => [n, null]))),
    );
  }

  /** A client of that service: resolves when it was told something, with that. */
  async hold(service: string): Promise<{ holder: Holder; told: string }> {
    const client = this.containers.get('client');
    if (!client) throw new Error('the client does not run');
    const [kind, where] = WHERE[service] ?? ['', ''];
    const holder = new Holder(client.run(['python3', '/run/ends.py', 'hold', kind, where]));
    return { holder, told: await holder.said() };
  }
}
