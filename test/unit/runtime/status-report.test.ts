import { describe, expect, test } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import { parseGraph } from '../../../src/graph/wire.js';
import { joinStatus, type PostedStatus, parseStatus } from '../../../src/runtime/status-report.js';
import { unixLink } from '../../support/link.js';
import { fc, property } from '../../support/property.js';

const LINK = unixLink({
  ...{ consumer: 'client', consumerPid: 10, provider: 'server', providerPid: 20 },
  target: '/run/raw.sock',
});
const ENTRY: PostedStatus = {
  consumer: 'client',
  name: 'raw',
  target: '/run/raw.sock',
  established: true,
  last_error: null,
};

function joined(entry: Partial<PostedStatus>, link: Partial<Link> = {}) {
  const [wire] = joinStatus([{ ...LINK, ...link }], [{ ...ENTRY, ...entry }]);
  return wire as Record<string, unknown>;
}

describe('the posted status', () => {
  test('is taken as it was posted, fields that we do not know included', () => {
    const posted = [{ ...ENTRY, of_theirs: 1 }];
    expect(parseStatus(posted)).toEqual({ ok: true, value: posted });
  });

  test.each([
    ['an object', {}, /expected an array/],
    ['an entry that is none', [7], /^\/0: found 7/],
    ['no consumer', [{ ...ENTRY, consumer: undefined }], /^\/0\/consumer/],
    ['an empty name', [{ ...ENTRY, name: '' }], /^\/0\/name/],
    ['an endless target', [{ ...ENTRY, target: 'x'.repeat(5_000) }], /^\/0\/target/],
    ['a word for a truth value', [ENTRY, { ...ENTRY, established: 'yes' }], /^\/1\/established/],
    ['a number as an error', [{ ...ENTRY, last_error: 5 }], /^\/0\/last_error/],
    ['too many', Array(20_001).fill(ENTRY), /at most 20000/],
  ])('with %s is refused in one sentence', (_what, value, sentence) => {
    expect(parseStatus(value)).toEqual({ ok: false, why: expect.stringMatching(sentence) });
  });

  property('never makes the parser throw', async (holds) => {
    await holds(
      fc.property(fc.jsonValue(), (value) => {
        expect(parseStatus(value).ok).toBeTypeOf('boolean');
      }),
    );
  });
});

describe('the graph with the status joined in', () => {
  test('says established, waiting or failed', () => {
    const waiting = { code: 'provider-not-running', message: 'It is not there.' };
    const failed = { code: 'target-occupied', message: 'A file is there.' };
    expect(joined({})).toMatchObject({ state: 'established', last_error: null });
    expect(joined({ established: false })).toMatchObject({ state: 'waiting', last_error: null });
    expect(joined({ established: false, last_error: waiting }).state).toBe('waiting');
    expect(joined({ established: false, last_error: failed })).toMatchObject({
      state: 'failed',
      last_error: failed,
    });
  });

  test('is waiting where nothing was posted, or failed where the builder knows why', () => {
    const error = { code: 'not-allowed', message: 'Not for you.' } as const;
    expect(joinStatus([LINK], [])[0]).toMatchObject({ state: 'waiting', last_error: null });
    expect(joinStatus([{ ...LINK, error }], [])[0]).toMatchObject({
      state: 'failed',
      last_error: error,
    });
  });

  test('tells links apart by consumer, name and target', () => {
    expect(joined({ target: '/run/other.sock' }).state).toBe('waiting');
  });

  test('is the same graph as before for whoever reads it back', () => {
    const back = parseGraph(JSON.parse(JSON.stringify([joined({})])));
    expect(back).toEqual({ links: [LINK], errors: [], notices: [] });
  });
});
