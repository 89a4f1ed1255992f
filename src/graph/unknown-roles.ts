/**
 * Roles and containers that an export speaks of and nobody is: most likely misspelt, and then nobody gets in, or the
 * rules hold for nobody. An export that nobody requires says nothing about its consumers, so nothing is said of it.
 */
import { suggestion } from '../kernel/nearest.js';
import { EVERY_ROLE } from '../manifest/policy.js';
import { pointerTo, show } from '../manifest/problem.js';
import type { ProblemList } from '../manifest/problem-list.js';
import type { Requirement, Revision, Service } from '../manifest/revision.js';
import { CONTAINER_PREFIX } from '../manifest/services.js';
import { isForRuntime } from './hosted-bus.js';
import { EXTERNAL } from './link.js';

export function noteUnknownRoles(revision: Revision, problems: ProblemList): void {
  const { containers, device } = revision;
  const requirements = [...containers.flatMap((one) => one.requirements), ...device.ingress];
  const owners = containers.flatMap(({ services }) => services.flatMap(({ role }) => role ?? []));
  const roles = new Set([...requirements.map(({ role }) => role), ...owners]);
  const names = new Set([EXTERNAL, ...containers.map(({ name }) => name)]);
  const consumers = new Consumers(requirements);
  for (const { name: container, services } of containers) {
    for (const service of services) {
      const askers = consumers.of(service, container);
      if (askers.length === 0) continue;
      const { allow } = service;
      // Whoever asks and is not allowed is told so, with the nearest that is.
      const allowed = allow && new Set(allow);
      const isSaid = allowed !== undefined && !askers.every(({ role }) => allowed.has(role));
      for (const [field, caller] of callersIn(service)) {
        const isContainer = caller.startsWith(CONTAINER_PREFIX);
        const who = isContainer ? caller.slice(CONTAINER_PREFIX.length) : caller;
        const known = isContainer ? names : roles;
        if (known.has(who) || (field === 'allow' && isSaid && !isContainer)) continue;
        const base = pointerTo(service.place.pointer, field);
        const pointer = field === 'allow' ? base : pointerTo(base, caller);
        const found = isContainer
          ? `the container ${show(who)}, which is not there`
          : `the role ${show(who)}, which no requirement has`;
        const expected = () => `a known one${suggestion(who, known)}`;
        const at = { file: service.place.file, pointer };
        problems.add('role-unknown', at, found, expected, 'notice');
      }
    }
  }
}

/** Who requires what. */
class Consumers {
  readonly #byName = new Map<string, Requirement[]>();
  readonly #ofBus: readonly Requirement[];

  constructor(requirements: readonly Requirement[]) {
    for (const one of requirements) {
      const others = this.#byName.get(one.name) ?? [];
      others.push(one);
      this.#byName.set(one.name, others);
    }
    this.#ofBus = requirements.filter(isForRuntime);
  }

  of(service: Service, container: string): readonly Requirement[] {
    if (service.owns !== undefined) return this.#ofBus;
    const all = this.#byName.get(service.name ?? '') ?? [];
    return all.filter(({ provider = container }) => provider === container);
  }
}

/** Everybody that it speaks of, each with the field in which it does. */
function callersIn({ allow = [], calls = [], rules, policy }: Service): [string, string][] {
  const named = (field: string, callers: Iterable<string> = []): [string, string][] =>
    [...callers].filter((role) => role !== EVERY_ROLE).map((role) => [field, role]);
  return [
    ...named('allow', [...allow, ...calls.map(({ role }) => role)]),
    ...named('rules', rules?.keys()),
    ...named('policy', policy?.keys()),
  ];
}
