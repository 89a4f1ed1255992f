/**
 * A listener of ours in the provider, when this process has no descriptor left for the end that signals its removal.
 */
import { closeSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { Container } from '../../../src/host/containers.js';
import { type BesideParts, listenBeside } from '../../../src/host/provider-listener.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import { unixLink } from '../../support/link.js';

afterEach(() => void vi.restoreAllMocks());

test('without a descriptor for its hang-up it is an error, and nothing is left in the provider', async () => {
  const [listener, far] = native.socketPair(SOCKET_TYPES.stream);
  const remove = vi.fn(async () => ({ ok: true, value: undefined }));
  const value = {
    container: new Container('provider', 2, 1, 1),
    planted: { fd: listener, plant: 7 },
  };
  const parts = {
    broker: { remove },
    provider: { listen: async () => ({ ok: true, value }) },
    link: unixLink(),
    ends: new Set(),
  } as unknown as BesideParts;
  vi.spyOn(native, 'socketPair').mockImplementation(() => {
    throw Object.assign(new Error('socketpair: Too many open files'), { code: 'EMFILE' });
  });
  const answer = await listenBeside(parts, () => undefined);
  expect(answer).toMatchObject({ ok: false, error: { code: 'limit-reached' } });
  expect(remove).toHaveBeenCalledExactlyOnceWith(7);
  expect(parts.ends.size).toBe(0);
  expect(native.socketRead(far, Buffer.alloc(1))).toBe(0); // the listener was closed
  closeSync(far);
});
