/**
 * What to do next about one link: desired against attached. Pure.
 *
 * The step is taken by the link's runner, which then asks again, until nothing is left to be done. So a step
 * never has to foresee what follows it.
 */
import { EXTERNAL, type Link } from '../graph/link.js';
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
  | { readonly do: 'show'; readonly state: 'waiting' | 'failed'; readonly error: LinkError };

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
    return { do: 'show', state: 'failed', error: link.error };
  }
  if (!isRunning(link)) {
    if (current) return { do: 'detach', revoked: false };
    return { do: 'show', state: 'waiting', error: notRunning(link) };
  }
  if (!current) return { do: 'attach' };
  if (isAnotherConsumer(link, current, generation)) return { do: 'detach', revoked: false };
  if (!isSameService(link, current.link)) {
    return { do: 'detach', revoked: isRevoked(link, current.link) };
  }
  if (link.providerPid !== current.link.providerPid) return { do: 'retarget' };
  if (!isSameValue(link.activates, current.link.activates)) return { do: 'retarget' };
  if (current.providerGone && desired.stamp > current.stamp) return { do: 'retarget' };
  return NOTHING;
}

function isRunning(link: Link): boolean {
  return link.consumer === EXTERNAL || link.consumerPid > 0;
}

function notRunning({ consumer }: Link): LinkError {
  return { code: 'consumer-not-running', message: `${consumer} is not running.` };
}

function isAnotherConsumer(
  link: Link,
  current: Current,
  generation: (pid: number) => number,
): boolean {
  if (current.lost || link.consumerPid !== current.link.consumerPid) return true;
  return link.consumerPid > 0 && generation(link.consumerPid) !== current.consumerGeneration;
}

/** Who is connected may be so no longer, or not in the same way. */
function isRevoked(a: Link, b: Link): boolean {
  const isSameWho = a.role === b.role && a.uid === b.uid && isSameValue(a.allowFrom, b.allowFrom);
  return !isSameWho || !isSamePolicy(a, b);
}

function isSamePolicy(a: Link, b: Link): boolean {
  if (a.policyMode !== b.policyMode) return false;
  return isSameValue(a.policy, b.policy) && isSameValue(a.rules, b.rules);
}

/** Everything but the pids and what is passed on unread. */
function isSameService(a: Link, b: Link): boolean {
  return (
    a.provider === b.provider &&
    a.type === b.type &&
    a.role === b.role &&
    a.interface === b.interface &&
    a.socket === b.socket &&
    a.transport === b.transport &&
    a.uid === b.uid &&
    isSamePolicy(a, b) &&
    a.mode === b.mode &&
    a.fds === b.fds &&
    a.device === b.device &&
    a.access === b.access &&
    isSameValue(a.lease, b.lease) &&
    isSameValue(a.match, b.match) &&
    a.proxyProtocol === b.proxyProtocol &&
    a.maxConnections === b.maxConnections &&
    isSameValue(a.allowFrom, b.allowFrom) &&
    a.host === b.host &&
    isSameValue(a.http, b.http)
  );
}

/** Of plain JSON, most often absent. */
function isSameValue(a: object | undefined, b: object | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** Whether two desired links say the same, pids included. */
export function isSameLink(a: Link, b: Link): boolean {
  return (
    a.consumerPid === b.consumerPid &&
    a.providerPid === b.providerPid &&
    a.error?.code === b.error?.code &&
    a.error?.message === b.error?.message &&
    isSameValue(a.activates, b.activates) &&
    isSameService(a, b)
  );
}
