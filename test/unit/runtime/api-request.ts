/** A request of pv-ctrl without a socket. */
import type { ApiRequest } from '../../../src/runtime/router.js';

export function requestOf(parts: Partial<ApiRequest>): ApiRequest {
  return {
    method: 'GET',
    path: '/',
    caller: null,
    length: undefined,
    body: (async function* () {})(),
    bytes: async () => Buffer.alloc(0),
    json: async () => undefined,
    ...parts,
  };
}
