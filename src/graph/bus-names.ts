/**
 * Names that containers own on hosted buses, and the two things that can be wrong with them together: a
 * name owned twice, and on-demand owners that wait for each other.
 */
import type { NarrowedCaller } from '../manifest/entries.js';
import { pointerTo, show } from '../manifest/problem.js';
import type { ProblemList } from '../manifest/problem-list.js';
import type { Revision, Service } from '../manifest/revision.js';
import { CONTAINER_PREFIX, SYSTEM_BUS } from '../manifest/services.js';

export interface BusName {
  readonly container: string;
  readonly bus: string;
  readonly name: string;
  readonly role: string;
  readonly service: Service;
}

/** In order of containers; of a name that is owned twice, the first owner stands. */
export function busNames(revision: Revision, problems: ProblemList): BusName[] {
  const owned = new Map<string, BusName>();
  for (const { name: container, services } of revision.containers) {
    for (const service of services) {
      const { bus, owns, role } = service;
      if (bus === undefined || owns === undefined || role === undefined) continue;
      const key = `${bus}/${owns}`; // neither may hold a slash
      const owner = owned.get(key);
      if (owner === undefined) {
        owned.set(key, { container, bus, name: owns, role, service });
        continue;
      }
      const { file, pointer } = service.place;
      const found = `${show(owns)} on ${show(bus)}, which ${show(owner.container)} owns already`;
      problems.add(
        'bus-name-duplicate',
        { file, pointer: pointerTo(pointer, 'owns') },
        found,
        'one owner',
      );
    }
  }
  return [...owned.values()];
}

/** A name on a bus that nobody hosts is owned by nobody. */
export function noteUnknownBuses(names: readonly BusName[], problems: ProblemList): void {
  for (const { bus, service } of names) {
    if (bus === SYSTEM_BUS) continue;
    const { file, pointer } = service.place;
    const at = { file, pointer: pointerTo(pointer, 'bus') };
    problems.add('bus-unknown', at, show(bus), show(SYSTEM_BUS), 'notice');
  }
}

/** The roles that may call it; null: all. A container has no uid of its own on a bus, so that it can't be one. */
export function callersOf({ service }: BusName): string[] | null {
  return service.allow?.filter((caller) => !caller.startsWith(CONTAINER_PREFIX)) ?? null;
}

/**
 * By what a role may call it; null: it may not. Its owner may: whoever may own a name can answer for it anyway. `fits`:
 * whether who may make some calls may make those that are meant; absent: any will do.
 */
export function rightToCall(
  name: BusName,
  role: string,
  fits: (caller: NarrowedCaller) => boolean = () => true,
): 'owner' | 'everyone' | 'allow' | NarrowedCaller | null {
  const callers = callersOf(name);
  if (role === name.role) return 'owner';
  if (callers === null) return 'everyone';
  if (callers.includes(role)) return 'allow';
  return name.service.calls?.find((caller) => caller.role === role && fits(caller)) ?? null;
}

/** Containers that are started when somebody calls a name of theirs, each with that name's declaration. */
export function onDemand(names: readonly BusName[]): Map<string, Service> {
  const containers = new Map<string, Service>();
  for (const { container, service } of names) {
    if (service.activation === 'on-demand' && !containers.has(container)) {
      containers.set(container, service);
    }
  }
  return containers;
}
