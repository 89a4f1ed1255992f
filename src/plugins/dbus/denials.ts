/**
 * Counts and logs what the policy of one link denies: each rule that is missing is logged at most once a minute. A
 * consumer can't fill memory with names that it makes up: from 100 rules on, all others are counted as one.
 */
import type { Link } from '../../graph/link.js';
import { allowing, type Use } from '../../graph/use.js';
import type { Logger } from '../../kernel/log.js';
import type { Tally } from '../plugin.js';

const QUIET_MS = 60_000;
const MAX_RULES = 100;
const OTHERS = 'others';

interface Quiet {
  readonly until: number;
  /** Denials that were not logged since. */
  unsaid: number;
}

export class Denials {
  readonly #link: Link;
  readonly #log: Logger;
  readonly #counts: Record<string, number>;
  readonly #now: () => number;
  /** By rule; not logged again before `until`. */
  readonly #quiet = new Map<string, Quiet>();

  /** `now`: a clock in milliseconds that never goes back. */
  constructor(link: Link, log: Logger, tally: Tally, now = () => performance.now()) {
    this.#link = link;
    this.#log = log;
    this.#counts = link.policyMode === 'audit' ? tally.audited : tally.denied;
    this.#now = now;
  }

  note(use: Use): void {
    const rule = allowing(use);
    const key = this.#keyOf(rule ?? use.what);
    this.#counts[key] = (this.#counts[key] ?? 0) + 1;
    const quiet = this.#quiet.get(key);
    if (quiet && this.#now() < quiet.until) {
      quiet.unsaid++;
      return;
    }
    this.#quiet.set(key, { until: this.#now() + QUIET_MS, unsaid: 0 });
    this.#say(use, rule, quiet?.unsaid ?? 0);
  }

  #keyOf(rule: string): string {
    const isKnown = Object.hasOwn(this.#counts, rule);
    return isKnown || Object.keys(this.#counts).length < MAX_RULES ? rule : OTHERS;
  }

  #say(use: Use, rule: string | null, unsaid: number): void {
    const { consumer, role, policyMode } = this.#link;
    const audit = policyMode === 'audit';
    const verdict = audit ? 'would-deny' : 'denied';
    const who = `${consumer} with the role ${JSON.stringify(role)}`;
    const remedy = rule === null ? beyond(use) : `${rule} would allow it`;
    const sentence = `${who} ${audit ? 'would not be allowed to' : 'may not'} ${use.what}. ${remedy}.`;
    const fields = { verdict, consumer, role, name: use.name, rule, since: unsaid };
    if (audit) this.#log.info(fields, sentence);
    else this.#log.warn(fields, sentence);
  }
}

function beyond({ name }: Use): string {
  return name.startsWith(':')
    ? 'A rule for a well-known name of whom it is about would allow it'
    : 'No rule can allow it';
}
