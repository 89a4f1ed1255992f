/** When a link that reaches its provider becomes established: once its plugin has found that the provider admits it. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Verification } from '../../../src/host/verification.js';
import type { LinkError } from '../../../src/kernel/errors.js';

const REFUSED: LinkError = { code: 'bus-refused', message: 'It lets nobody in.' };
const AWAY: LinkError = { code: 'bus-away', message: 'It is away.' };

let told: unknown[] = [];
let verification: Verification;
/** What the next checks find; each resolves in a later turn. */
let finds: (LinkError | null)[] = [];
let checks = 0;

beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  finds = [];
  checks = 0;
  verification = new Verification((state, error) => told.push(error?.code ?? state));
});
afterEach(() => vi.useRealTimers());

const verified = () =>
  verification.by(async () => {
    checks++;
    return finds.shift() ?? null;
  });
const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

test('everything is told as it comes where nobody checks', () => {
  verification.state('established', null);
  verification.state('waiting', AWAY);
  expect(told).toEqual(['established', 'bus-away']);
});

test('it is established once the check has found so, and asked once', async () => {
  verified();
  verification.state('established', null);
  verification.state('established', null);
  expect(told).toEqual([]);
  await pass();
  verification.state('established', null);
  expect([told, checks]).toEqual([['established', 'established'], 1]);
});

test('it is failed where it is not let in, asked again ever more slowly, and established at last', async () => {
  verified();
  finds = [REFUSED, REFUSED, REFUSED, null];
  verification.state('established', null);
  await pass();
  verification.state('established', null); // the socket takes connections all the while
  await pass(999);
  expect([told, checks]).toEqual([['bus-refused'], 1]);
  await pass(1);
  await pass(2_000);
  expect(checks).toBe(3);
  await pass(4_000);
  expect(told).toEqual(['bus-refused', 'bus-refused', 'bus-refused', 'established']);
});

test('what was found of an earlier provider means nothing', async () => {
  verified();
  finds = [REFUSED, null];
  verification.state('established', null);
  verification.anew();
  verification.state('waiting', AWAY);
  await pass();
  verification.state('established', null);
  await pass(60_000);
  expect([told, checks]).toEqual([['bus-away', 'established'], 2]);
});

test('a doubt has it asked anew, and changes nothing until it is found to be right', async () => {
  verified();
  finds = [null, null, REFUSED];
  verification.state('established', null);
  await pass();
  verification.doubt();
  expect(checks).toBe(1); // it was asked just now
  await pass(10_000);
  verification.doubt();
  await pass(10_000);
  expect(told).toEqual(['established', 'established']);
  verification.doubt();
  verification.doubt();
  await pass();
  expect([told, checks]).toEqual([['established', 'established', 'bus-refused'], 3]);
});

test('nobody is asked any more, and nothing is told, once the link has ended', async () => {
  verified();
  finds = [REFUSED];
  verification.state('established', null);
  await pass();
  verification.close();
  verification.doubt();
  verification.state('established', null);
  await pass(60_000);
  expect([told, checks, vi.getTimerCount()]).toEqual([['bus-refused'], 1, 0]);
});
