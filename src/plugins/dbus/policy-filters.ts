/**
 * Which policy filter the connections of one link get: that of the link's policy. A link without a policy gets none,
 * unless it is observed: then it gets one that lets everything pass, and tells the observers.
 */
import { type Link, linkId } from '../../graph/link.js';
import type { Use } from '../../graph/use.js';
import type { LinkHost } from '../plugin.js';
import { Denials } from './denials.js';
import type { FilterFactory } from './filter.js';
import type { Observation } from './observation.js';
import { Policy } from './policy.js';
import { PolicyFilter, type UseListener } from './policy-filter.js';

const EVERYTHING = { own: ['*'] };

export class PolicyFilters {
  readonly #link: Link;
  readonly #host: LinkHost;
  readonly #observation: Observation;
  readonly #filter: FilterFactory | null;

  constructor(link: Link, host: LinkHost, observation: Observation) {
    this.#link = link;
    this.#host = host;
    this.#observation = observation;
    this.#filter = link.policy ? this.#enforcing(link.policy) : null;
  }

  /** For a connection that begins now: one filter or none. */
  forConnection(): readonly FilterFactory[] {
    if (this.#filter) return [this.#filter];
    return this.#observation.isObserved(linkId(this.#link)) ? [this.#open()] : [];
  }

  #enforcing(rules: NonNullable<Link['policy']>): FilterFactory {
    const { tally, log } = this.#host;
    const policy = new Policy(rules);
    const enforce = this.#link.policyMode !== 'audit';
    const denials = new Denials(this.#link, log, tally);
    const listener = this.#listener((use) => denials.note(use));
    return (port) => new PolicyFilter({ policy, enforce, listener }, port);
  }

  #open(): FilterFactory {
    const policy = new Policy(EVERYTHING);
    const listener = this.#listener(() => undefined);
    return (port) => new PolicyFilter({ policy, enforce: false, listener }, port);
  }

  #listener(onRefusal: (use: Use) => void): UseListener {
    const link = linkId(this.#link);
    const observation = this.#observation;
    return {
      get isListening() {
        return observation.isObserved(link);
      },
      used: (use) => observation.tell(link, use),
      refused: (use) => {
        observation.tell(link, { ...use, refused: true });
        onRefusal(use);
      },
    };
  }
}
