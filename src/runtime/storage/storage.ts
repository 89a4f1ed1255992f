/**
 * The folder that `--storage` names, by its parts:
 *
 *     trails/            revisions, and which of them runs (trails.ts)
 *     objects/           by their SHA-256 (object-store.ts)
 *     user-meta/, device-meta/   a file for each key (metadata.ts)
 *     logs/REVISION/CONTAINER/lxc/console.log, and of this program and the daemon
 *     views/             what containers have at /pantavisor, while this program runs
 *     volumes/, revisions/, boot/, roots/, lxc/   of the engine lxc
 *     bus/               uids of roles on the hosted bus
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Metadata } from './metadata.js';
import { ObjectStore } from './object-store.js';
import { Trails } from './trails.js';

export class Storage {
  readonly trails: Trails;
  readonly objects: ObjectStore;
  readonly userMeta: Metadata;
  readonly deviceMeta: Metadata;
  readonly #folder: string;

  /** Makes what is not there; throws where it can't. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(join(folder, 'logs'), { recursive: true });
    this.trails = new Trails(join(folder, 'trails'));
    this.objects = new ObjectStore(join(folder, 'objects'));
    this.userMeta = new Metadata(join(folder, 'user-meta'));
    this.deviceMeta = new Metadata(join(folder, 'device-meta'));
  }

  get parts() {
    const { deviceMeta, objects, trails, userMeta } = this;
    return { deviceMeta, objects, trails, userMeta };
  }

  /** Of all revisions. */
  get logsFolder(): string {
    return join(this.#folder, 'logs');
  }

  /** Of one revision. */
  logs(revision: string): string {
    return join(this.logsFolder, revision);
  }

  /** Of what containers see of the runtime. */
  get viewsFolder(): string {
    return join(this.#folder, 'views');
  }

  /** What the runtime itself says of the device. */
  async describe(revision: string, version: string): Promise<void> {
    const facts = {
      'pantavisor.arch': process.arch,
      'pantavisor.mode': 'local',
      'pantavisor.revision': revision,
      'pantavisor.version': `pv-appengine ${version}`,
    };
    const known = this.deviceMeta.all();
    for (const [key, value] of Object.entries(facts)) {
      if (known[key] === value) continue; // each write waits for the disk, and containers wait for this
      // On a full disk, what runs goes on.
      await this.deviceMeta.put(key, value).catch(() => undefined);
    }
  }
}
