/** A link as the daemon's `/links` has it. */
import type { LiveLink } from '../../../src/cli/explanation.js';

export function live(fields: Partial<LiveLink> = {}): LiveLink {
  return {
    ...{ consumer: 'client', consumer_pid: 1, provider: 'server', provider_pid: 2 },
    ...{ name: 'raw', type: 'unix', role: 'any', target: '/run/raw.sock', socket: '/run/s/raw' },
    ...{ state: 'established', since: '2026-11-23T10:00:00.000Z', last_error: null },
    ...{ connections: { active: 0, total: 0 }, bytes: { to_provider: 0, to_consumer: 0 } },
    ...{ closes: {}, denied: {} },
    ...fields,
  };
}
