/**
 * What a provider's type may be consumed as, and what follows from the pair, as docs/manifests.md has it.
 */
import type { Service } from '../manifest/revision.js';
import { isNetworked } from '../manifest/target.js';
import { SERVICE_TYPES, type ServiceType } from './link.js';

/** By provider type; its own type is the first of each. */
export const SERVES: Readonly<Record<ServiceType, readonly ServiceType[]>> = {
  unix: ['unix', 'tcp', 'rest', 'http'],
  rest: ['rest', 'unix', 'http', 'tcp'],
  http: ['http', 'rest', 'tcp'],
  tcp: ['tcp', 'http', 'unix'],
  dbus: ['dbus', 'unix'],
  drm: ['drm'],
  input: ['input'],
  wayland: ['wayland', 'unix'],
};

/** What an ingress rule without a type means: the nearest that an address can carry. */
const INGRESS_TYPE: Partial<Record<ServiceType, ServiceType>> = {
  unix: 'tcp',
  rest: 'http',
  http: 'http',
  tcp: 'tcp',
};

/**
 * Types that this service can be consumed as. Records and datagrams have no meaning but as themselves, and a policy
 * none where nobody knows that there are messages.
 */
export function serveable(service: Service): readonly string[] {
  const asRecords = service.mode !== undefined && service.mode !== 'stream';
  const type = builtIn(service);
  return asRecords || service.policy || !type ? [service.type] : SERVES[type];
}

export function ingressType(service: Service): ServiceType | undefined {
  const type = builtIn(service);
  return type && INGRESS_TYPE[type];
}

/** Undefined for a type of a plugin from outside, which serves itself alone. */
function builtIn({ type }: Service): ServiceType | undefined {
  return SERVICE_TYPES.find((one) => one === type);
}

/** Set where the provider's transport is not the one that the type as consumed has by nature. */
export function transportOf(service: Service, type: string): 'unix' | 'tcp' | undefined {
  const provided = service.port === undefined ? 'unix' : 'tcp';
  const natural = isNetworked(type) ? 'tcp' : 'unix';
  return provided === natural ? undefined : provided;
}
