/** Several taps as one. */
import type { Following } from '../kernel/following.js';
import type { Tap } from './attacher.js';

const NOTHING = Promise.resolve();

/** Of what there is not. */
export const NO_TAP: Tap = { begun: NOTHING, end: () => NOTHING };

/** Taps each member, and those to come; it has begun with those that there are now. */
export function followTaps<M>(members: Pick<Following<M>, 'follow'>, tap: (one: M) => Tap): Tap {
  const begun: Promise<unknown>[] = [];
  const end = members.follow((member) => {
    const one = tap(member);
    begun.push(one.begun);
    return () => one.end();
  });
  return { begun: Promise.all(begun), end: () => Promise.all(end()) };
}
