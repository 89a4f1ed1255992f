/**
 * What containers write, as folders of the storage, by how long it is kept:
 *
 *     volumes/CONTAINER/VOLUME             permanent
 *     revisions/REVISION/CONTAINER/VOLUME  as long as that revision is there
 *     boot/CONTAINER/VOLUME                until the next start of this program
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isName } from '../../../manifest/text.js';
import { type ContainerSettings, OVERLAY, type Persistence } from '../../container-settings.js';
import { revisionVolumes } from '../../storage/storage.js';

export interface Volume {
  /** As `/volumes/CONTAINER/NAME` has it. */
  readonly name: string;
  readonly folder: string;
  /** Where it is mounted though the configuration does not say so. */
  readonly target?: string;
}

export class Volumes {
  readonly #storage: string;
  /** By `CONTAINER/VOLUME`, of every container that was mounted. */
  readonly #known = new Map<string, string>();

  /** `storage`: an absolute path. Removes what was kept until now. */
  constructor(storage: string) {
    this.#storage = storage;
    rmSync(join(storage, 'boot'), { recursive: true, force: true });
    for (const folder of ['volumes', 'revisions', 'boot']) makePrivate(join(storage, folder));
  }

  /** Makes the folders of a container's volumes; throws the system's error. The first one is that of its overlay. */
  make({ name, storage }: ContainerSettings, revision: string): [Volume, ...Volume[]] {
    const make = (volume: string, persistence: Persistence, target?: string): Volume => {
      const folder = join(this.#folderOf(persistence, revision), name, volume);
      mkdirSync(folder, { recursive: true });
      this.#known.set(`${name}/${volume}`, folder);
      return { name: volume, folder, ...(target === undefined ? {} : { target }) };
    };
    const others = [...storage].filter(([volume]) => volume !== OVERLAY);
    return [
      make(OVERLAY, storage.get(OVERLAY) ?? 'boot'),
      ...others
        .filter(([volume]) => isName(volumeName(volume)))
        .map(([volume, persistence]) =>
          make(volumeName(volume), persistence, volume.startsWith('/') ? volume : undefined),
        ),
    ];
  }

  /** The folder of `CONTAINER/VOLUME`, of this container or another one that was mounted before. */
  folder(container: string, volume: string): string | undefined {
    return this.#known.get(`${container}/${volume}`);
  }

  #folderOf(persistence: Persistence, revision: string): string {
    switch (persistence) {
      case 'permanent':
        return join(this.#storage, 'volumes');
      case 'revision':
        return revisionVolumes(this.#storage, revision);
      case 'boot':
        return join(this.#storage, 'boot');
    }
  }
}

/**
 * Makes a folder that only its owner gets through: what containers write, and what their roots have, may be a program with
 * the set-user-ID bit of root, which is nothing for the users of the host.
 */
export function makePrivate(folder: string): void {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o700);
}

/** As `pvr` names the volume of a path: `/var/lib/x` is `docker--var-lib-x`. */
export function volumeName(path: string): string {
  return path.startsWith('/') ? `docker-${path.replace(/\/$/, '').replaceAll('/', '-')}` : path;
}
