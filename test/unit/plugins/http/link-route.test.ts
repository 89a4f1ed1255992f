import { expect, test } from 'vitest';
import { DEFAULT_LIMITS } from '../../../../src/http1/limits.js';
import { limitsOf } from '../../../../src/plugins/http/link-route.js';
import { unixLink } from '../../../support/link.js';

const MINUTE = 60_000;

test('a rest link waits for its provider as long as its consumer does, unless it says otherwise', () => {
  const { answerMs, silenceMs, idleMs } = limitsOf(unixLink({ type: 'rest' }));
  expect([answerMs, silenceMs]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  expect(idleMs).toBe(MINUTE);
  const limits = { answer_timeout: 2, silence_timeout: 3 };
  const set = limitsOf(unixLink({ type: 'rest', http: { limits } }));
  expect([set.answerMs, set.silenceMs]).toEqual([2_000, 3_000]);
});

test('an address waits five minutes for the head of an answer, and an hour within it', () => {
  const limits = limitsOf(unixLink({ type: 'http' }));
  expect(limits).toEqual(DEFAULT_LIMITS);
  expect([limits.answerMs, limits.silenceMs]).toEqual([5 * MINUTE, 60 * MINUTE]);
});
