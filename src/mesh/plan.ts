/**
 * What to do next about one link: desired against attached. Pure.
 *
 * The step is taken by the link's runner, which then asks again, until nothing is left to be done. So a step
 * never has to foresee what follows it.
 */
import { changeOf } from '../graph/difference.js';
import { EXTERNAL, type Link, notRunningText, stateOfError } from '../graph/link.js';
import type { LinkError } from '../kernel/errors.js';

export interface Desired {
  readonly link: Link;
  /** When the graph was true, see GraphSnapshot. */
  readonly stamp: number;
}

export interface Current {
  /** As it was attached, or retargeted since. */
  readonly link: Link;
  readonly stamp: number;
  readonly consumerGeneration: number;
  /** The attachment died under us. */
  readonly lost: boolean;
  /** Its provider is gone: only a fresh graph knows where the next one is. */
  readonly providerGone: boolean;
}

export type Step =
  | { readonly do: 'nothing' }
  | { readonly do: 'attach' }
  | { readonly do: 'retarget' }
  /** `revoked`: whoever is connected may be so no longer. */
  | { readonly do: 'detach'; readonly revoked: boolean }
  | {
      readonly do: 'show';
      readonly state: 'waiting' | 'failed' | 'unmet';
      readonly error: LinkError;
    };

const NOTHING: Step = { do: 'nothing' };

/** `generation`: of the process that is now known by that pid, 0 for none. */
export function plan(
  desired: Desired | null,
  current: Current | null,
  generation: (pid: number) => number,
): Step {
  if (!desired) return current ? { do: 'detach', revoked: false } : NOTHING;
  const { link } = desired;
  if (link.error) {
    if (current) return { do: 'detach', revoked: link.error.code === 'not-allowed' };
    return { do: 'show', state: stateOfError(link.error.code), error: link.error };
  }
  if (!isRunning(link)) {
    if (current) return { do: 'detach', revoked: false };
    return { do: 'show', state: 'waiting', error: notRunning(link) };
  }
  if (!current) return { do: 'attach' };
  const change = changeOf(current.link, link);
  if (change === 'revoke') return { do: 'detach', revoked: true };
  if (change === 'reattach' || isAnotherConsumer(link, current, generation)) {
    return { do: 'detach', revoked: false };
  }
  if (change === 'retarget') return { do: 'retarget' };
  if (current.providerGone && desired.stamp > current.stamp) return { do: 'retarget' };
  return NOTHING;
}

function isRunning(link: Link): boolean {
  return link.consumer === EXTERNAL || link.consumerPid > 0;
}

function notRunning({ consumer, consumerEnd }: Link): LinkError {
  return { code: 'consumer-not-running', message: notRunningText(consumer, consumerEnd) };
}

function isAnotherConsumer(
  link: Link,
  current: Current,
  generation: (pid: number) => number,
): boolean {
  if (current.lost || link.consumerPid !== current.link.consumerPid) return true;
  return link.consumerPid > 0 && generation(link.consumerPid) !== current.consumerGeneration;
}
