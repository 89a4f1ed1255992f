/**
 * Who exports what: every service that can be joined to, by name, in the order of the containers' names; and what was
 * to be exported and is not, so that whoever requires it is told that, and not that nobody exports it.
 */
import { show } from '../manifest/problem.js';
import type { ProblemList } from '../manifest/problem-list.js';
import type { RefusedService, Revision, Service } from '../manifest/revision.js';
import { SYSTEM_BUS } from '../manifest/services.js';

export interface Export {
  readonly container: string;
  readonly service: Service;
}

export interface RefusedExport {
  readonly container: string;
  readonly refused: RefusedService;
}

type ByName<T> = ReadonlyMap<string, ReadonlyMap<string, T>>;

export interface Exports {
  /** By service name, then by container. */
  readonly offered: ByName<Export>;
  readonly refused: ByName<RefusedExport>;
  /** Names on the hosted bus whose entry was refused. */
  readonly refusedNames: ReadonlyMap<string, RefusedExport>;
  /** By container that may export anything, as nobody could read it: the file that says what. */
  readonly unreadable: ReadonlyMap<string, string>;
}

/** `hosted`: the system bus is ours, so nobody else's may have its name. */
export function exportsOf(revision: Revision, hosted: boolean, problems: ProblemList): Exports {
  const offered = new Map<string, Map<string, Export>>();
  const refused = new Map<string, Map<string, RefusedExport>>();
  const refusedNames = new Map<string, RefusedExport>();
  for (const { name: container, services, refused: bad } of revision.containers) {
    for (const service of services) {
      const { name } = service;
      if (name === undefined || (service.socket ?? service.port) === undefined) continue;
      if (hosted && name === SYSTEM_BUS) {
        const found = `a service named ${show(name)} beside the hosted bus`;
        problems.add('service-reserved', service.place, found, 'another name');
        put(refused, name, container, { container, refused: service });
      } else {
        put(offered, name, container, { container, service });
      }
    }
    for (const one of bad) {
      if (one.name !== undefined) put(refused, one.name, container, { container, refused: one });
      if (one.owns !== undefined) refusedNames.set(one.owns, { container, refused: one });
    }
  }
  return { offered, refused, refusedNames, unreadable: revision.unreadable };
}

function put<T>(map: Map<string, Map<string, T>>, name: string, container: string, one: T): void {
  const known = map.get(name) ?? new Map<string, T>();
  map.set(name, known.set(container, one));
}
