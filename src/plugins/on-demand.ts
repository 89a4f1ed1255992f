/**
 * What the plugin of a link to the hosted bus is told of names whose owner is started when somebody calls them:
 * types only, the seam between whoever asks the runtime and whoever holds a call meanwhile.
 */

export type Activation =
  /** The runtime agreed: the name will have an owner soon. */
  | { readonly outcome: 'started' }
  /** The name is none that the runtime could start: the bus's own answer is the right one. */
  | { readonly outcome: 'unknown' }
  /** `why`: one sentence. */
  | { readonly outcome: 'refused'; readonly why: string };

/** Whoever asks the runtime, for all links; `name` on the bus of that name. */
export interface Activator {
  /** Once for all who ask before the name is `done`, or its time is over. Never rejects. */
  activate(bus: string, name: string): Promise<Activation>;
  /** The name has an owner, or is given up: who asks next asks the runtime anew. */
  done(bus: string, name: string): void;
}

/** The same for one link to one bus. */
export interface OnDemand {
  /** Whose owner a call of this link's role starts, as of now. Undefined: the runtime knows, and nobody else. */
  names(): readonly string[] | undefined;
  /** Never rejects. */
  activate(name: string): Promise<Activation>;
  done(name: string): void;
}
