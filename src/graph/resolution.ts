/**
 * One requirement to the one service that it means. Only the manifests decide, never who is running, so
 * the answer does not change while containers come and go.
 */
import { nearest, suggestion } from '../kernel/nearest.js';
import { pointerTo, show } from '../manifest/problem.js';
import type { ProblemList } from '../manifest/problem-list.js';
import type { Requirement, Service } from '../manifest/revision.js';
import { A_PATH, AN_ADDRESS, isNetworked } from '../manifest/target.js';
import { ingressType, serveable } from './compatibility.js';
import { defaultTarget } from './endpoint.js';
import type { Export, Exports, RefusedExport } from './exports.js';
import { EXTERNAL } from './link.js';

const NAMED_AT_MOST = 5;

/**
 * The exporter; or the one whose entry was refused, or can't be read, about which there is a problem already; or
 * undefined after adding a problem.
 */
export function exporterOf(
  requirement: Requirement,
  { offered, refused, unreadable }: Exports,
  problems: ProblemList,
): Export | RefusedExport | undefined {
  const { name, provider, place, optional } = requirement;
  const severity = optional ? 'notice' : 'error';
  const exporters = offered.get(name);
  const bad = refused.get(name);
  if (provider !== undefined) {
    const meant = exporters?.get(provider) ?? bad?.get(provider);
    if (meant) return meant;
    const file = unreadable.get(provider);
    if (file !== undefined) return unread(provider, file);
  } else if (exporters === undefined) {
    const [first] = bad?.values() ?? [];
    if (first) return first;
    const [unknown] = unreadable;
    if (unknown) return unread(...unknown);
  }
  const [first] = exporters?.values() ?? [];
  if (!exporters || !first) {
    const found = `no container that exports ${show(name)}`;
    problems.add('service-missing', place, found, () => `one${alike(name, offered)}`, severity);
    return undefined;
  }
  if (provider !== undefined) {
    const at = { file: place.file, pointer: pointerTo(place.pointer, 'provider') };
    const found = `${show(provider)}, which exports no ${show(name)}`;
    const meant = () => (exporters.size > 1 ? suggestion(provider, exporters.keys()) : '');
    const expected = () => `${listed(exporters)}${meant()}`;
    problems.add('provider-missing', at, found, expected, severity);
    return undefined;
  }
  if (exporters.size > 1) {
    const found = `${exporters.size} containers that export ${show(name)}`;
    problems.add('provider-ambiguous', place, found, `"provider", one of ${listed(exporters)}`);
    return undefined;
  }
  return first;
}

function unread(container: string, file: string): RefusedExport {
  return { container, refused: { place: { file, pointer: '' } } };
}

/** ` (did you mean "raw" of server-app?)`, or nothing. */
function alike(name: string, offered: Exports['offered']): string {
  const meant = nearest(name, offered.keys());
  const [container] = offered.get(meant ?? '')?.keys() ?? [];
  return container === undefined ? '' : ` (did you mean ${show(meant)} of ${container}?)`;
}

/** The type on the consumer's side, or undefined after adding a problem. */
export function consumedType(
  consumer: string,
  requirement: Requirement,
  { container, service }: Export,
  problems: ProblemList,
): string | undefined {
  const byDefault = consumer === EXTERNAL ? ingressType(service) : service.type;
  const type = requirement.type ?? byDefault;
  const possible = serveable(service);
  if (type !== undefined && possible.includes(type)) return type;
  const { file, pointer } = requirement.place;
  const at = { file, pointer: requirement.type ? pointerTo(pointer, 'type') : pointer };
  const served = `${service.name} of ${container}, which is ${kindOf(service)}`;
  problems.add(
    'type-unserveable',
    at,
    type === undefined ? `ingress to ${served}` : `type ${type} wanted of ${served}`,
    `one of ${possible.join(', ')}`,
  );
  return undefined;
}

/** The target, of the kind that the type needs, or undefined after adding a problem. */
export function targetOf(
  requirement: Requirement,
  type: string,
  service: Service | undefined,
  problems: ProblemList,
): string | undefined {
  const networked = isNetworked(type);
  const target = requirement.target ?? defaultTarget(requirement.name, type, service?.socket);
  if (target !== undefined && target.startsWith('/') !== networked) return target;
  const found =
    target === undefined ? `no target for type ${type}` : `${show(target)} for type ${type}`;
  if (networked) problems.add('address-invalid', requirement.place, found, AN_ADDRESS);
  else problems.add('path-invalid', requirement.place, found, A_PATH);
  return undefined;
}

function kindOf(service: Service): string {
  if (service.policy) return `${service.type} with a policy`;
  return service.mode === undefined ? service.type : `${service.type} ${service.mode}`;
}

function listed(exporters: ReadonlyMap<string, Export>): string {
  const shown: string[] = [];
  for (const container of exporters.keys()) {
    if (shown.length === NAMED_AT_MOST) return `${shown.join(', ')} and others`;
    shown.push(show(container));
  }
  return shown.join(', ');
}
