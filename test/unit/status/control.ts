/** A control server on a mesh that only emits, and raw clients of it. */
import net from 'node:net';
import { EventEmitter } from 'eventemitter3';
import { expect, onTestFinished } from 'vitest';
import { type Link, linkId } from '../../../src/graph/link.js';
import { revisionToWire } from '../../../src/graph/revision-wire.js';
import type { GraphSourceEvents } from '../../../src/graph/source.js';
import { type LinkError, REMEDIES } from '../../../src/kernel/errors.js';
import { createLogger } from '../../../src/kernel/log.js';
import type { Revision } from '../../../src/manifest/revision.js';
import type { LinkStats } from '../../../src/mesh/attacher.js';
import type { MeshEvents } from '../../../src/mesh/mesh.js';
import { NO_STATS } from '../../../src/mesh/stats.js';
import type { ControlServerOptions, UpgradeState } from '../../../src/status/server.js';
import { ControlServer } from '../../../src/status/server.js';
import { StatusStore } from '../../../src/status/store.js';
import { listenAt } from '../../support/control-listener.js';
import { unixLink } from '../../support/link.js';
import { scratchFolder } from '../manifest/scratch.js';

export const FAILURE: LinkError = { code: 'target-occupied', message: 'A file is at the target.' };
/** As it is shown. */
export const SHOWN = {
  ...FAILURE,
  remedy: REMEDIES['target-occupied'],
  since: expect.stringMatching(/^\d{4}-.*Z$/),
};

type ControlOptions = Partial<
  Pick<ControlServerOptions, 'events' | 'stalledMs' | 'timed' | 'probe' | 'tap' | 'fault'>
>;

export class Control {
  readonly mesh = new EventEmitter<MeshEvents>();
  readonly source = new EventEmitter<GraphSourceEvents>();
  readonly stats = new Map<string, LinkStats>();
  readonly store = new StatusStore(this.mesh);
  readonly server: ControlServer;
  /** What it says of itself; `asked`: how often it was asked for an upgrade. */
  readonly replaceable = {
    version: '0.1.0',
    incarnation: 1,
    state: null as UpgradeState,
    obstacle: null as string | null,
    asked: 0,
    ask() {
      if (this.obstacle !== null) return this.obstacle;
      this.asked++;
      this.state = 'under way';
      return null;
    },
  };
  path = '';
  /** What its graph is built from; null: a runtime builds it. */
  revision: Revision | null = null;

  constructor(options: ControlOptions = {}) {
    const { store, source } = this;
    const stats = (id: string) => this.stats.get(id) ?? null;
    const log = createLogger('silent');
    this.server = new ControlServer({
      store,
      stats,
      source,
      revision: () => this.revision && revisionToWire(this.revision),
      log,
      replaceable: this.replaceable,
      ...options,
    });
  }

  static async start(options: ControlOptions = {}): Promise<Control> {
    const control = new Control(options);
    await control.serve();
    return control;
  }

  /** `uid`: whose clients it takes all of them for; null: that is not known. */
  async serve(uid: number | null = 0): Promise<void> {
    this.path = `${await scratchFolder()}/control.sock`;
    onTestFinished(() => this.server.close());
    await listenAt(this.server, this.path, uid);
  }

  /** Puts a link into the store, `established` unless there is an error. */
  put(fields: Partial<Link> = {}, error: LinkError | null = null): string {
    const link = unixLink(fields);
    this.mesh.emit('state', linkId(link), link, error ? 'failed' : 'established', error);
    return linkId(link);
  }

  putMany(count: number): void {
    for (let index = 0; index < count; index++) this.put({ name: `service-${index}` });
  }

  count(id: string, stats: Partial<LinkStats>): void {
    this.stats.set(id, { ...NO_STATS, ...stats });
  }

  connect(): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ path: this.path, allowHalfOpen: true });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new Client(socket)));
    });
  }

  /** Sends that, closes its half where `half`, and reads to the end. */
  async ask(request: string, half = false): Promise<Reply> {
    const client = await this.connect();
    client.socket.write(request);
    if (half) client.socket.end();
    return client.reply();
  }

  async json(path: string): Promise<unknown> {
    return JSON.parse((await this.ask(`GET ${path} HTTP/1.1\r\n\r\n`)).body);
  }
}

export interface Reply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export class Client {
  readonly socket: net.Socket;
  /** All that came so far. */
  text = '';
  closed = false;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text) => {
      this.text += text;
    });
    socket.on('error', () => {}); // the server may end it at any moment
    socket.on('end', () => {
      this.closed = true;
      socket.end();
    });
    socket.on('close', () => {
      this.closed = true;
    });
    onTestFinished(() => void socket.destroy());
  }

  async reply(): Promise<Reply> {
    if (!this.closed) await new Promise((resolve) => this.socket.once('close', resolve));
    const end = this.text.indexOf('\r\n\r\n');
    const [first = '', ...lines] = this.text.slice(0, end).split('\r\n');
    const headers = lines.map((line): [string, string] => {
      const [name = '', value = ''] = line.split(/: (.*)/s);
      return [name.toLowerCase(), value];
    });
    return {
      status: Number(first.split(' ')[1]),
      headers: new Map(headers),
      body: this.text.slice(end + 4),
    };
  }
}
