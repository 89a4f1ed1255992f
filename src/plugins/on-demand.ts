/**
 * Names on the hosted bus whose owners are started on demand. Types only: the interface between bus/activator.ts, which
 * asks the runtime to start an owner, and the dbus plugin, which holds calls meanwhile.
 */

export type ActivationResult =
  /** The runtime agreed: the name will have an owner soon. */
  | { readonly outcome: 'started' }
  /** The runtime knows no owner of the name: the call is left to the bus, which answers it with an error. */
  | { readonly outcome: 'unknown' }
  /** The runtime refused. `why`: one sentence. */
  | { readonly outcome: 'refused'; readonly why: string };

/** Asks the runtime, for all links. `bus`: the name of the bus that `name` is on. */
export interface Activator {
  /** Asks the runtime once, whoever asks for the same name until it is `done` or its time is over. Never rejects. */
  activate(bus: string, name: string): Promise<ActivationResult>;
  /** The name has an owner, or is not waited for any more: the next `activate` asks the runtime anew. */
  done(bus: string, name: string): void;
}

/** The same for one link. */
export interface OnDemand {
  /** The names that a call by this link's role can start now. Undefined: only the runtime knows, so any may be one. */
  names(): readonly string[] | undefined;
  /** Never rejects. */
  activate(name: string): Promise<ActivationResult>;
  done(name: string): void;
}
