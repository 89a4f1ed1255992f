/**
 * The hosted system bus, as far as the graph has to do with it: whether a revision has a use for it, and what is
 * declared on it. Pure.
 */
import { ProblemList } from '../manifest/problem-list.js';
import type { Requirement, Revision } from '../manifest/revision.js';
import { SYSTEM_BUS } from '../manifest/services.js';
import { byName } from '../manifest/text.js';
import { type BusName, busNames, callersOf } from './bus-names.js';
import { RUNTIME_PROVIDER } from './link.js';
import type { GraphOptions } from './link-maker.js';

/** Of pv-appengine and of `--state`, run as root without another word. */
export const SYSTEM_BUS_SOCKET = '/run/pv-xconnect/bus/system_bus_socket';

export interface BusDeclarations {
  readonly names: readonly BusName[];
  /** Everyone that can be on it: who owns, who may call, who requires it. In order of their names. */
  readonly roles: readonly string[];
}

/**
 * Where somebody owns a name on it, it is wanted; else where somebody requires it and no container exports a bus of
 * that name. So revisions that bring a bus of their own stay as they are.
 */
export function wantsHostedBus({ containers }: Revision): boolean {
  const services = containers.flatMap((container) => container.services);
  if (services.some(({ bus }) => bus === SYSTEM_BUS)) return true;
  if (services.some(({ name }) => name === SYSTEM_BUS)) return false;
  return containers.some(({ requirements }) => requirements.some(isForRuntime));
}

/** For a graph that is only looked at: the bus is there if it is wanted, at the place that it has by default. */
export function unhosted(revision: Revision): GraphOptions {
  return wantsHostedBus(revision) ? { hostedBus: { socket: SYSTEM_BUS_SOCKET } } : {};
}

export function busDeclarations(revision: Revision): BusDeclarations {
  const all = busNames(revision, new ProblemList()); // the graph has said already what is wrong with them
  const names = all.filter(({ bus }) => bus === SYSTEM_BUS);
  const requirements = revision.containers.flatMap((container) => container.requirements);
  const roles = new Set([
    ...names.flatMap((name) => [name.role, ...(callersOf(name) ?? [])]),
    ...names.flatMap(({ service }) => (service.calls ?? []).map(({ role }) => role)),
    ...requirements.filter(isForRuntime).map(({ role }) => role),
  ]);
  return { names, roles: [...roles].sort(byName) };
}

/** Whether it means the bus that the runtime provides, where that is on. */
export function isForRuntime({ name, provider }: Requirement): boolean {
  return name === SYSTEM_BUS && (provider === undefined || provider === RUNTIME_PROVIDER);
}
