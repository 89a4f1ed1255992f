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
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SerialQueue } from '../../kernel/serial-queue.js';
import { SHA256 } from '../../manifest/objects.js';
import { Metadata } from './metadata.js';
import { ObjectStore } from './object-store.js';
import { LOCALS, Trails } from './trails.js';

/** Of the engine lxc: what is written as long as a revision is there, in the folder of a storage. */
export function revisionVolumes(storage: string, revision: string): string {
  return join(storage, 'revisions', revision.replaceAll('/', '-'));
}

export class Storage {
  readonly trails: Trails;
  readonly objects: ObjectStore;
  readonly userMeta: Metadata;
  readonly deviceMeta: Metadata;
  /** What changes which revisions there are, or which of them is to run: one at a time. */
  readonly changes = new SerialQueue();
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
    const { changes, deviceMeta, objects, trails, userMeta } = this;
    return { changes, deviceMeta, objects, trails, userMeta };
  }

  /** Of all revisions. */
  get logsFolder(): string {
    return join(this.#folder, 'logs');
  }

  /** Of one revision. */
  logs(revision: string): string {
    return join(this.logsFolder, revision);
  }

  /** Removes what a process that was killed has left half. To be called before anything else. */
  async sweep(): Promise<void> {
    await this.objects.sweep();
    await this.trails.sweep();
  }

  /** Logs and volumes of revisions that were put, whether or not these are still there. */
  foldersOfRevisions(): { readonly revision: string; readonly path: string }[] {
    const logs = namesIn(join(this.logsFolder, LOCALS)).map((name) => `${LOCALS}${name}`);
    const prefix = LOCALS.replaceAll('/', '-');
    const volumes = namesIn(join(this.#folder, 'revisions'))
      .filter((name) => name.startsWith(prefix))
      .map((name) => `${LOCALS}${name.slice(prefix.length)}`);
    return [
      ...logs.map((revision) => ({ revision, path: this.logs(revision) })),
      ...volumes.map((revision) => ({ revision, path: revisionVolumes(this.#folder, revision) })),
    ];
  }

  /** Of the engine lxc: images that were unpacked, by their SHA-256. */
  unpackedRoots(): { readonly sha256: string; readonly path: string }[] {
    const roots = join(this.#folder, 'roots');
    return namesIn(roots)
      .filter((name) => SHA256.test(name))
      .map((sha256) => ({ sha256, path: join(roots, sha256) }));
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

/** None where there is no such folder. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
