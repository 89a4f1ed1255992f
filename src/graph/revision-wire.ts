/**
 * The revision that a daemon builds its graph from, as JSON for the commands of the same version: what the graph comes
 * from, with the problems, and nothing else that the manifests hold.
 */
import type { Revision, Service } from '../manifest/revision.js';

type MapsOf<T, K extends keyof T> = Omit<T, K> & {
  readonly [P in K]: Readonly<
    Record<string, T[P] extends ReadonlyMap<string, infer V> ? V : never>
  >;
};
type WireService = Omit<Service, 'policy' | 'rules'> &
  Partial<MapsOf<Required<Pick<Service, 'policy' | 'rules'>>, 'policy' | 'rules'>>;

export interface WireRevision extends MapsOf<Pick<Revision, 'unreadable'>, 'unreadable'> {
  readonly containers: readonly (Pick<
    Revision['containers'][number],
    'name' | 'refused' | 'requirements'
  > & { readonly services: readonly WireService[] })[];
  readonly device: Revision['device'];
  readonly problems: Revision['problems'];
}

export function revisionToWire(revision: Revision): WireRevision {
  const { containers, unreadable, device, problems } = revision;
  return {
    containers: containers.map(({ name, refused, requirements, services }) => {
      return { name, refused, requirements, services: services.map(serviceToWire) };
    }),
    ...{ unreadable: Object.fromEntries(unreadable), device, problems },
  };
}

/** `wire`: what a daemon sent that is trusted. */
export function revisionFromWire({ containers, unreadable, ...rest }: WireRevision): Revision {
  return {
    ...rest,
    containers: containers.map((container) => {
      return { ...container, services: container.services.map(serviceFromWire), run: {}, args: {} };
    }),
    unreadable: new Map(Object.entries(unreadable)),
    state: {},
  };
}

function serviceToWire({ policy, rules, ...rest }: Service): WireService {
  return {
    ...rest,
    ...(policy ? { policy: Object.fromEntries(policy) } : {}),
    ...(rules ? { rules: Object.fromEntries(rules) } : {}),
  };
}

function serviceFromWire({ policy, rules, ...rest }: WireService): Service {
  return {
    ...rest,
    ...(policy ? { policy: new Map(Object.entries(policy)) } : {}),
    ...(rules ? { rules: new Map(Object.entries(rules)) } : {}),
  };
}
