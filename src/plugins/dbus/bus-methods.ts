/**
 * The methods of the bus itself (D-Bus specification, "Message Bus Messages"), and what a consumer needs to call each.
 * A method that is not listed is refused.
 */
import type { BodyValue } from './body.js';
import type { Header } from './header.js';
import { BUS } from './message-writer.js';
import { Level } from './policy.js';

/** What is answered in place of the bus, which is what the bus answers for a name that does not exist. */
export type AsIfAbsent = { readonly values: readonly BodyValue[] } | BusError;

export interface BusError {
  readonly error: string;
  readonly message: string;
}

export type BusMethod =
  /** Anybody may call it. */
  | { readonly is: 'free' }
  /** Its answer lists names. Those that the consumer may not see are taken out. */
  | { readonly is: 'list' }
  /** Its argument is a match rule. */
  | { readonly is: 'match' }
  /** Its first argument is a name. `signature`: of all arguments. */
  | {
      readonly is: 'about-name';
      readonly needs: Level;
      readonly signature: string;
      /** The answer where the consumer may not see the name. None: an error says that it is refused. */
      readonly absent?: (name: string) => AsIfAbsent;
    };

const ERROR = 'org.freedesktop.DBus.Error';
export const ACCESS_DENIED = `${ERROR}.AccessDenied`;
export const INVALID_ARGS = `${ERROR}.InvalidArgs`;
export const LIMITS_EXCEEDED = `${ERROR}.LimitsExceeded`;
export const UNKNOWN_METHOD = `${ERROR}.UnknownMethod`;

const FREE: BusMethod = { is: 'free' };
const LIST: BusMethod = { is: 'list' };
const MATCH: BusMethod = { is: 'match' };
const OWN: BusMethod = { is: 'about-name', needs: Level.own, signature: 's' };

const noOwner =
  (what: string) =>
  (name: string): BusError => ({
    error: `${ERROR}.NameHasNoOwner`,
    message: `Could not get ${what} of name '${name}': no such name`,
  });

export function serviceUnknown(name: string): BusError {
  return {
    error: `${ERROR}.ServiceUnknown`,
    message: `The name ${name} was not provided by any .service files`,
  };
}

export function nameHasNoOwner(name: string): BusError {
  return { error: `${ERROR}.NameHasNoOwner`, message: `Name "${name}" does not exist` };
}

function tells(what: string): BusMethod {
  return { is: 'about-name', needs: Level.see, signature: 's', absent: noOwner(what) };
}

const METHODS: Readonly<Record<string, BusMethod>> = {
  [`${BUS}.Hello`]: FREE,
  [`${BUS}.GetId`]: FREE,
  [`${BUS}.AddMatch`]: MATCH,
  [`${BUS}.RemoveMatch`]: MATCH,
  [`${BUS}.ListNames`]: LIST,
  [`${BUS}.ListActivatableNames`]: LIST,
  [`${BUS}.NameHasOwner`]: {
    ...{ is: 'about-name', needs: Level.see, signature: 's' },
    absent: () => ({ values: [false] }),
  },
  [`${BUS}.GetNameOwner`]: tells('owner'),
  [`${BUS}.GetConnectionUnixUser`]: tells('UID'),
  [`${BUS}.GetConnectionUnixProcessID`]: tells('PID'),
  [`${BUS}.GetConnectionCredentials`]: tells('credentials'),
  [`${BUS}.GetAdtAuditSessionData`]: tells('audit session data'),
  [`${BUS}.GetConnectionSELinuxSecurityContext`]: tells('security context'),
  [`${BUS}.StartServiceByName`]: {
    ...{ is: 'about-name', needs: Level.talk, signature: 'su' },
    absent: serviceUnknown,
  },
  [`${BUS}.RequestName`]: { ...OWN, signature: 'su' },
  [`${BUS}.ReleaseName`]: OWN,
  [`${BUS}.ListQueuedOwners`]: { ...OWN, absent: noOwner('owners') },
  [`${BUS}.Peer.Ping`]: FREE,
  [`${BUS}.Peer.GetMachineId`]: FREE,
  [`${BUS}.Introspectable.Introspect`]: FREE,
  [`${BUS}.Properties.Get`]: FREE,
  [`${BUS}.Properties.GetAll`]: FREE,
};

/** A call without an interface is for any interface with that member. The members of these three have unique names. */
const WITHOUT_INTERFACE = [BUS, `${BUS}.Peer`, `${BUS}.Introspectable`];

export function busMethod({ interface: of, member }: Header): BusMethod | undefined {
  const interfaces = of === undefined ? WITHOUT_INTERFACE : [of];
  const found = interfaces.find((one) => Object.hasOwn(METHODS, `${one}.${member}`));
  return found === undefined ? undefined : METHODS[`${found}.${member}`];
}
