/** Any number of links that nobody made, behind the control socket of a daemon: where real ones would take a machine of their own. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventEmitter } from 'eventemitter3';
import { type Link, type LinkState, linkId } from '../../../src/graph/link.js';
import type { GraphSourceEvents } from '../../../src/graph/source.js';
import type { LinkError } from '../../../src/kernel/errors.js';
import { createLogger } from '../../../src/kernel/log.js';
import type { LinkStats } from '../../../src/mesh/attacher.js';
import type { MeshEvents } from '../../../src/mesh/mesh.js';
import { NO_STATS } from '../../../src/mesh/stats.js';
import { ControlServer } from '../../../src/status/server.js';
import { StatusStore } from '../../../src/status/store.js';
import { listenAt } from '../../support/control-listener.js';
import { unixLink } from '../../support/link.js';

const ABSENT: LinkError = { code: 'provider-socket-missing', message: 'It does not exist yet.' };

export class MadeUpMesh {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pvx-made-up-'));
  readonly path = join(this.#folder, 'control.sock');
  readonly #mesh = new EventEmitter<MeshEvents>();
  readonly #store = new StatusStore(this.#mesh);
  readonly #stats = new Map<string, LinkStats>();
  readonly #links: Link[] = [];
  readonly #server: ControlServer;
  #changed = 0;

  /** Each container has a link to the one before it, and the rest go further. */
  constructor(links: number, containers: number) {
    this.#server = new ControlServer({
      store: this.#store,
      stats: (id) => this.#stats.get(id) ?? null,
      source: new EventEmitter<GraphSourceEvents>(),
      log: createLogger('silent'),
      replaceable: { version: '0.1.0', incarnation: 1, state: null, ask: () => null },
    });
    for (let index = 0; index < links; index++) {
      const from = index % containers;
      const to = (from + 1 + 7 * Math.floor(index / containers)) % containers;
      const name = `service-${index}`;
      const target = `/run/pv/services/${name}.sock`;
      this.add({ consumer: `container-${from}`, provider: `container-${to}`, name, target });
    }
  }

  async listen(): Promise<void> {
    chmodSync(this.#folder, 0o755);
    await listenAt(this.#server, this.path);
    chmodSync(this.path, 0o660);
  }

  add(fields: Partial<Link>): void {
    const link = unixLink(fields);
    this.#links.push(link);
    this.#set(link, 'established', null);
  }

  /** More bytes on every link. */
  carry(): void {
    for (const link of this.#links) {
      const before = this.#stats.get(linkId(link)) ?? NO_STATS;
      const toProvider = before.toProvider + 1_000;
      this.#stats.set(linkId(link), { ...before, toProvider, toConsumer: toProvider * 20 });
    }
  }

  /** So many links come to another state, one after the other. */
  change(count: number): void {
    for (let index = 0; index < count; index++) {
      const link = this.#links[this.#changed++ % this.#links.length] as Link;
      const isWell = Math.floor(this.#changed / this.#links.length) % 2 === 1;
      this.#set(link, isWell ? 'established' : 'waiting', isWell ? null : ABSENT);
    }
  }

  /** The link of that number fails. Returns the words. */
  fail(index: number, message: string): string {
    this.#set(this.#links[index] as Link, 'failed', { code: 'provider-refused', message });
    return message;
  }

  async close(): Promise<void> {
    await this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #set(link: Link, state: LinkState, error: LinkError | null): void {
    this.#mesh.emit('state', linkId(link), link, state, error);
  }
}
