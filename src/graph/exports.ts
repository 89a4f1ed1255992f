/**
 * Who exports what: every service that can be joined to, by name, in the order of the containers' names.
 */
import { show } from '../manifest/problem.js';
import type { ProblemList } from '../manifest/problem-list.js';
import type { Revision, Service } from '../manifest/revision.js';
import { SYSTEM_BUS } from '../manifest/services.js';

export interface Export {
  readonly container: string;
  readonly service: Service;
}

/** By service name, then by container. */
export type Exports = ReadonlyMap<string, ReadonlyMap<string, Export>>;

/** `hosted`: the system bus is ours, so nobody else's may have its name. */
export function exportsOf(revision: Revision, hosted: boolean, problems: ProblemList): Exports {
  const exports = new Map<string, Map<string, Export>>();
  for (const { name: container, services } of revision.containers) {
    for (const service of services) {
      const { name } = service;
      if (name === undefined || (service.socket ?? service.port) === undefined) continue;
      if (hosted && name === SYSTEM_BUS) {
        const found = `a service named ${show(name)} beside the hosted bus`;
        problems.add('service-reserved', service.place, found, 'another name');
        continue;
      }
      const exporters = exports.get(name) ?? new Map<string, Export>();
      exports.set(name, exporters.set(container, { container, service }));
    }
  }
  return exports;
}
