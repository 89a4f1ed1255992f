/**
 * One requirement to one link: resolves it, applies the defaults, and checks who may consume.
 */
import type { LinkError } from '../kernel/errors.js';
import { addressText, isAddress } from '../kernel/ip-address.js';
import { suggestion } from '../kernel/nearest.js';
import { noteMisplaced } from '../manifest/fields.js';
import { LINK_FIELDS, type LinkField, type LinkKey, sidesOf } from '../manifest/link-fields.js';
import { HTTP_FIELDS } from '../manifest/link-values.js';
import { EVERY_ROLE, rulesOf } from '../manifest/policy.js';
import { placeText, show } from '../manifest/problem.js';
import type { ProblemList } from '../manifest/problem-list.js';
import type { RefusedService, Requirement, Service } from '../manifest/revision.js';
import { CONTAINER_PREFIX, SYSTEM_BUS } from '../manifest/services.js';
import { HTTP_TYPES, isOneOf } from '../manifest/vocabulary.js';
import { type BusName, rightToCall } from './bus-names.js';
import { SERVES, transportOf } from './compatibility.js';
import { beyondReach, defaultTarget, targetError } from './endpoint.js';
import type { Export, Exports } from './exports.js';
import { isForRuntime } from './hosted-bus.js';
import { type ContainerEnd, EXTERNAL, type Link, RUNTIME_PROVIDER } from './link.js';
import { consumedType, exporterOf, targetOf } from './resolution.js';

/** The system bus that the runtime itself provides. */
export interface HostedBus {
  /** Its own socket, on the host. */
  readonly socket: string;
  /** The uid of each role on it, where they are given already. */
  readonly uids?: ReadonlyMap<string, number>;
  /** Why it can't be had here: its links are shown as failed. */
  readonly error?: LinkError;
}

export interface GraphOptions {
  /** The system bus is ours: requirements named `system-bus` join to it. Absent: it is off. */
  readonly hostedBus?: HostedBus;
  /** Pool address by container, for providers with a port; without one it is 127.0.0.1 in their namespace. */
  readonly addresses?: ReadonlyMap<string, string>;
  /** By container, the pid of who serves for it, where that is another process than the one that consumes. */
  readonly servers?: ReadonlyMap<string, number>;
  /** By container, how it ended last. */
  readonly ends?: ReadonlyMap<string, ContainerEnd>;
}

const LOOPBACK = '127.0.0.1';

export class LinkMaker {
  readonly #exports: Exports;
  readonly #pids: ReadonlyMap<string, number>;
  readonly #options: GraphOptions;
  readonly #problems: ProblemList;
  /** Names on the hosted bus. */
  readonly #owned: ReadonlySet<string>;
  readonly #onDemand: readonly BusName[];
  readonly #allowed = new Map<Service, ReadonlySet<string>>();

  constructor(
    exports: Exports,
    names: readonly BusName[],
    pids: ReadonlyMap<string, number>,
    options: GraphOptions,
    problems: ProblemList,
  ) {
    this.#exports = exports;
    this.#owned = new Set(names.filter(({ bus }) => bus === SYSTEM_BUS).map(({ name }) => name));
    this.#onDemand = names.filter(
      ({ bus, service }) => bus === SYSTEM_BUS && service.activation === 'on-demand',
    );
    this.#pids = pids;
    this.#options = options;
    this.#problems = problems;
  }

  /** Undefined after adding a problem. A link that is not allowed, or was refused, is one, with its `error`. */
  make(consumer: string, requirement: Requirement): Link | undefined {
    if (requirement.refused) return this.#refused(consumer, requirement, requirement);
    const bus = this.#options.hostedBus;
    if (isForRuntime(requirement) && (bus || requirement.names)) {
      const fault = this.#namesMissing(requirement);
      if (fault) return this.#refused(consumer, requirement, requirement, fault);
      if (bus) return this.#toHostedBus(consumer, requirement, bus);
    }
    const exporter = exporterOf(requirement, this.#exports, this.#problems);
    if (!exporter) return undefined;
    if ('refused' in exporter) {
      const { container, refused } = exporter;
      return this.#refused(consumer, requirement, { ...refused, container });
    }
    const type = consumedType(consumer, requirement, exporter, this.#problems);
    if (!type) return undefined;
    const target = targetOf(requirement, type, exporter.service, this.#problems);
    if (target === undefined) return undefined;
    return this.#link(consumer, requirement, exporter, type, target);
  }

  /** A requirement that nothing can meet, so that it is seen: `make` has just added the problem that says why. */
  unmet(consumer: string, requirement: Requirement): Link {
    const { last } = this.#problems;
    const message = last
      ? `${placeText(last)}: found ${last.found}, expected ${last.expected}.`
      : `${placeText(requirement.place)} can't be met.`;
    const error: LinkError = { code: 'requirement-unmet', message };
    const link = this.#refused(consumer, requirement, requirement);
    return { ...link, ...(requirement.optional ? { optional: true } : {}), error };
  }

  /** A link for what is not served, so that it is seen to be missing. `by`: the entry that is at fault. */
  #refused(
    consumer: string,
    requirement: Requirement,
    by: Pick<RefusedService, 'type' | 'socket' | 'place'> & { readonly container?: string },
    why = `${placeText(by.place)} is not served, as something in it is wrong.`,
  ): Link {
    const provider = by.container ?? requirement.provider ?? '';
    const type = requirement.type ?? by.type ?? '';
    return {
      consumer,
      provider,
      ...this.#processesOf(consumer, provider),
      name: requirement.name,
      type,
      role: requirement.role,
      interface: requirement.interface ?? type,
      target: requirement.target ?? defaultTarget(requirement.name, type, by.socket) ?? '',
      socket: by.socket ?? '',
      error: { code: 'manifest-invalid', message: why },
    };
  }

  /** Why a requirement of names on the hosted bus can't be served, after adding a problem where there is none yet. */
  #namesMissing({ names = [], optional, place }: Requirement): string | undefined {
    let fault: string | undefined;
    for (const name of names) {
      if (this.#owned.has(name)) continue;
      const { refusedNames, unreadable } = this.#exports;
      const refused = refusedNames.get(name)?.refused.place;
      const [file] = unreadable.values();
      const isSaid = refused !== undefined || file !== undefined;
      if (!isSaid) {
        const found = `no container that owns ${show(name)} on the ${SYSTEM_BUS}`;
        const expected = () => `one${suggestion(name, this.#owned)}`;
        const severity = optional ? 'notice' : 'error';
        this.#problems.add('bus-name-missing', place, found, expected, severity);
      }
      const why = isSaid
        ? `and ${refused ? placeText(refused) : file} is not served`
        : 'which no container owns';
      if (!optional) fault ??= `${placeText(place)} needs ${name}, ${why}.`;
    }
    return fault;
  }

  #link(
    consumer: string,
    requirement: Requirement,
    { container, service }: Export,
    type: string,
    target: string,
  ): Link {
    const transport = transportOf(service, type);
    const allowed = this.#isAllowed(service, consumer, requirement.role);
    const error = allowed
      ? (this.#refuseRaw(requirement, service, container, type) ??
        this.#refuseTarget(requirement, type, target))
      : this.#refuse(consumer, requirement, container, service);
    if (requirement.type === undefined) this.#noteMisplaced(requirement, type);
    const options = { ...requirement.options, ...service.options };
    return {
      ...copied(requirement, service, type),
      consumer,
      provider: container,
      ...this.#processesOf(consumer, container),
      name: requirement.name,
      type,
      role: requirement.role,
      interface: requirement.interface ?? type,
      target,
      socket: this.#socketOf(container, service),
      ...(transport ? { transport } : {}),
      ...ofRole(requirement.role, service, type),
      ...(requirement.http && speaksHttp(type) ? { http: requirement.http } : {}),
      ...(error ? { error } : {}),
      ...(Object.keys(options).length > 0 ? { extra: options } : {}),
    };
  }

  /** Of a requirement that says no type, which was not known when it was read. */
  #noteMisplaced(requirement: Requirement, type: string): void {
    const { place } = requirement;
    for (const [key, name, field] of FROM_REQUIREMENT) {
      if (requirement[key] !== undefined) noteMisplaced(name, field, type, place, this.#problems);
    }
    for (const [name, field] of Object.entries(HTTP_FIELDS)) {
      const isSaid = Object.hasOwn(requirement.http ?? {}, name);
      if (isSaid) noteMisplaced(name, field, type, place, this.#problems);
    }
  }

  #toHostedBus(consumer: string, requirement: Requirement, bus: HostedBus): Link | undefined {
    const { type = 'dbus', role, name, place } = requirement;
    if (!SERVES.dbus.some((one) => one === type)) {
      const found = `type ${type} wanted of the hosted bus`;
      this.#problems.add('type-unserveable', place, found, `one of ${SERVES.dbus.join(', ')}`);
      return undefined;
    }
    const target = targetOf(requirement, type, undefined, this.#problems);
    if (target === undefined) return undefined;
    const uid = bus.uids?.get(role);
    const error =
      bus.error ??
      (bus.uids && uid === undefined ? noUid(role) : undefined) ??
      this.#refuseTarget(requirement, type, target);
    const activates = this.#onDemand
      .filter((owned) => rightToCall(owned, role) !== null)
      .map((owned) => owned.name);
    return {
      consumer,
      provider: RUNTIME_PROVIDER,
      ...this.#processesOf(consumer, RUNTIME_PROVIDER),
      name,
      type,
      role,
      interface: requirement.interface ?? type,
      target,
      socket: bus.socket,
      ...(uid === undefined ? {} : { uid }),
      activates,
      ...(error ? { error } : {}),
      ...(requirement.options ? { extra: requirement.options } : {}),
    };
  }

  #isAllowed(service: Service, consumer: string, role: string): boolean {
    if (!service.allow) return true;
    const allowed = this.#allowed.get(service) ?? new Set(service.allow);
    this.#allowed.set(service, allowed);
    // A role is the consumer's own choice of words: it must not pass for the name of a container.
    const byRole = !role.startsWith(CONTAINER_PREFIX) && allowed.has(role);
    return byRole || allowed.has(`${CONTAINER_PREFIX}${consumer}`);
  }

  /** Rules that nobody would keep are as good as a refusal. */
  #refuseRaw(
    { name, place, optional }: Requirement,
    service: Service,
    container: string,
    type: string,
  ) {
    if (!service.rules || speaksHttp(type)) return undefined;
    const found = `${name} of ${container}, which has rules, as ${type}`;
    this.#problems.add(
      'not-allowed',
      place,
      found,
      'it as rest or http',
      optional ? 'notice' : 'error',
    );
    const message = `${name} of ${container} has rules, which only rest and http links keep: as ${type} it may not be consumed.`;
    return { code: 'not-allowed', message } as const;
  }

  /** A socket that no program could connect to. */
  #refuseTarget({ device, place }: Requirement, type: string, target: string) {
    const fault = beyondReach(target, type, device);
    if (fault === null) return undefined;
    this.#problems.add('path-too-long', place, fault.found, fault.expected);
    return targetError(fault);
  }

  #refuse(consumer: string, requirement: Requirement, container: string, { allow }: Service) {
    const { name, role, place, optional } = requirement;
    const found = `${consumer} with the role ${show(role)}`;
    const meant = () => suggestion(role, allow ?? []);
    const expected = () => `one that "allow" of ${name} in ${container} names${meant()}`;
    this.#problems.add('not-allowed', place, found, expected, optional ? 'notice' : 'error');
    const message = `${consumer} with the role ${show(role)} may not consume ${name} of ${container}.`;
    return { code: 'not-allowed', message } as const;
  }

  #socketOf(container: string, service: Service): string {
    if (service.socket !== undefined) return service.socket;
    const address = this.#options.addresses?.get(container);
    const ip = address !== undefined && isAddress(address) ? address : LOOPBACK;
    return addressText({ ip, port: service.port ?? 0 });
  }

  /** Of the host itself there is no process, and it never ended. */
  #processesOf(
    consumer: string,
    provider: string,
  ): Pick<Link, 'consumerPid' | 'providerPid' | 'consumerEnd' | 'providerEnd'> {
    const { servers, ends } = this.#options;
    const consumerPid = consumer === EXTERNAL ? undefined : this.#pids.get(consumer);
    const serverPid = servers?.get(provider) ?? this.#pids.get(provider);
    const consumerEnd = ends?.get(consumer);
    const providerEnd = ends?.get(provider);
    return {
      consumerPid: soundPid(consumerPid),
      providerPid: soundPid(provider === RUNTIME_PROVIDER ? undefined : serverPid),
      ...(consumerEnd && consumer !== EXTERNAL ? { consumerEnd } : {}),
      ...(providerEnd && provider !== RUNTIME_PROVIDER ? { providerEnd } : {}),
    };
  }
}

function soundPid(pid = 0): number {
  return Number.isSafeInteger(pid) && pid > 0 ? pid : 0;
}

/** What has a meaning of its own on each side, or is settled between the two. */
const SETTLED: ReadonlySet<LinkKey> = new Set([
  ...(['name', 'type', 'role', 'provider', 'interface', 'target', 'socket'] as const),
  ...(['policy', 'rules'] as const),
]);
const FROM_SERVICE = sidesOf('service').filter(([key]) => !SETTLED.has(key));
const FROM_REQUIREMENT = sidesOf('requirement').filter(([key]) => !SETTLED.has(key));

/**
 * What the two sides say of a link of this type, as it stands. The service's word is first: a provider that believes
 * a header is never left without.
 */
function copied(requirement: Requirement, service: Service, type: string): Partial<Link> {
  const of: Partial<Record<LinkKey, unknown>> = {};
  const sides = [
    [FROM_REQUIREMENT, requirement],
    [FROM_SERVICE, service],
  ] as const;
  for (const [keys, side] of sides) {
    for (const [key] of keys) {
      const value = (side as Partial<Record<LinkKey, unknown>>)[key];
      const { types }: LinkField<unknown> = LINK_FIELDS[key];
      const isMeant = types?.some((one) => one === type) ?? true;
      if (value !== undefined && isMeant) of[key] = value;
    }
  }
  const isStream = service.mode === undefined || service.mode === 'stream';
  if (!isStream) delete of.proxyProtocol; // which is of streams
  return of as Partial<Link>;
}

/** What the service says of one role. */
function ofRole(role: string, { policy, rules }: Service, type: string): Partial<Link> {
  return {
    ...(policy ? { policy: rulesOf(role, policy) } : {}),
    ...(rules && speaksHttp(type) ? { rules: rulesFor(role, rules) } : {}),
  };
}

function speaksHttp(type: string): boolean {
  return isOneOf(HTTP_TYPES, type);
}

/** The role's own rules and those for every role. */
function rulesFor(role: string, rules: NonNullable<Service['rules']>): readonly string[] {
  const own = role === EVERY_ROLE ? [] : (rules.get(role) ?? []);
  return [...own, ...(rules.get(EVERY_ROLE) ?? [])];
}

function noUid(role: string): LinkError {
  const why = 'none is left of --bus-uids, or it could not be kept, and then the log says why';
  const message = `The role ${show(role)} has no uid on the hosted bus: ${why}.`;
  return { code: 'bus-uid', message };
}
