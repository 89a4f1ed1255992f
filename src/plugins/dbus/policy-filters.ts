/**
 * Which policy the connections of one link are held to: the link's own; where it has none, none, unless somebody
 * observes the link, who has to see its messages for that.
 */
import { type Link, linkId } from '../../graph/link.js';
import type { Use } from '../../graph/use.js';
import type { LinkHost } from '../plugin.js';
import { Denials } from './denials.js';
import type { FilterFactory } from './filter.js';
import type { Observation } from './observation.js';
import { Policy } from './policy.js';
import { PolicyFilter, type Witness } from './policy-filter.js';

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

  /** Of a connection that begins now. */
  forConnection(): readonly FilterFactory[] {
    if (this.#filter) return [this.#filter];
    return this.#observation.isObserved(linkId(this.#link)) ? [this.#open()] : [];
  }

  #enforcing(rules: NonNullable<Link['policy']>): FilterFactory {
    const { tally, log } = this.#host;
    const policy = new Policy(rules);
    const enforce = this.#link.policyMode !== 'audit';
    const denials = new Denials(this.#link, log, tally);
    const witness = this.#witness((use) => denials.note(use));
    return (port) => new PolicyFilter({ policy, enforce, witness }, port);
  }

  #open(): FilterFactory {
    const policy = new Policy(EVERYTHING);
    const witness = this.#witness(() => undefined);
    return (port) => new PolicyFilter({ policy, enforce: false, witness }, port);
  }

  #witness(onRefusal: (use: Use) => void): Witness {
    const link = linkId(this.#link);
    const observation = this.#observation;
    return {
      get isWatching() {
        return observation.isObserved(link);
      },
      used: (use) => observation.tell(link, use),
      refused: (use) => {
        observation.tell(link, use);
        onRefusal(use);
      },
    };
  }
}
