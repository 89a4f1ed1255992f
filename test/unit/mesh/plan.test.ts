/** The next step about one link, from what is wanted and what is. */
import { describe, expect, it } from 'vitest';
import { EXTERNAL, type Link } from '../../../src/graph/link.js';
import { type Current, type Desired, plan } from '../../../src/mesh/plan.js';
import { unixLink } from '../../support/link.js';

const GENERATION = 77;
const generation = () => GENERATION;
const LINK = unixLink({ consumerPid: 100, providerPid: 200 });

const desired = (fields: Partial<Link> = {}, stamp = 10): Desired => ({
  link: { ...LINK, ...fields },
  stamp,
});
const current = (fields: Partial<Current> = {}): Current => ({
  ...{ link: LINK, stamp: 10, consumerGeneration: GENERATION, lost: false, providerGone: false },
  ...fields,
});
const DETACH = { do: 'detach', revoked: false };
const REVOKE = { do: 'detach', revoked: true };

describe('a link that nobody wants', () => {
  it('is detached, and then nothing', () => {
    expect(plan(null, current(), generation)).toEqual(DETACH);
    expect(plan(null, null, generation)).toEqual({ do: 'nothing' });
  });
});

describe('a link that is wanted', () => {
  it('is attached, and then nothing', () => {
    expect(plan(desired(), null, generation)).toEqual({ do: 'attach' });
    expect(plan(desired(), current(), generation)).toEqual({ do: 'nothing' });
  });

  it('waits for its consumer, but for the host, which always runs', () => {
    const error = { code: 'consumer-not-running', message: 'consumer is not running.' };
    const stopped = desired({ consumerPid: 0 });
    expect(plan(stopped, current(), generation)).toEqual(DETACH);
    expect(plan(stopped, null, generation)).toEqual({ do: 'show', state: 'waiting', error });
    const consumerEnd = { how: 'signal SIGKILL', times: 3 };
    expect(plan(desired({ consumerPid: 0, consumerEnd }), null, generation)).toMatchObject({
      error: {
        message: 'consumer is not running: it has ended 3 times, last with signal SIGKILL.',
      },
    });
    const ingress = desired({ consumer: EXTERNAL, consumerPid: 0 });
    expect(plan(ingress, null, generation)).toEqual({ do: 'attach' });
  });

  it.each([
    ['not-allowed', REVOKE],
    ['target-invalid', DETACH],
  ] as const)('is taken away and shown as failed where it can not be made: %s', (code, step) => {
    const error = { code, message: 'No.' };
    expect(plan(desired({ error }), current(), generation)).toEqual(step);
    expect(plan(desired({ error }), null, generation)).toEqual({
      do: 'show',
      state: 'failed',
      error,
    });
  });
});

describe('an attached link of which something changed', () => {
  it.each([
    ['its socket', { socket: '/other' }, DETACH],
    ['its role', { role: 'x' }, REVOKE],
    ['its role and its socket', { role: 'x', socket: '/other' }, REVOKE],
    ['its provider', { provider: 'other', providerPid: 201 }, DETACH],
    ["its provider's pid", { providerPid: 201 }, { do: 'retarget' }],
    ['what it activates', { activates: ['a.b'] }, { do: 'retarget' }],
    ["its provider's pid and its socket", { providerPid: 201, socket: '/other' }, DETACH],
    ["its consumer's pid", { consumerPid: 101 }, DETACH],
    ["its consumer's pid and what it may do", { consumerPid: 101, policy: {} }, REVOKE],
    ['what only a plugin knows', { extra: { weight: 1 } }, DETACH],
  ])('%s', (_, change, step) => {
    expect(plan(desired(change), current(), generation)).toEqual(step);
  });

  it('is attached anew where its attachment was lost, or another process has the pid', () => {
    expect(plan(desired(), current({ lost: true }), generation)).toEqual(DETACH);
    expect(plan(desired(), current({ consumerGeneration: 76 }), generation)).toEqual(DETACH);
  });

  it('goes to the next provider when only a fresh graph knows it', () => {
    const gone = current({ providerGone: true });
    expect(plan(desired(), gone, generation)).toEqual({ do: 'nothing' });
    expect(plan(desired({}, 11), gone, generation)).toEqual({ do: 'retarget' });
  });
});
