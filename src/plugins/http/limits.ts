/** What a requirement says about limits, over the defaults. */
import type { Link } from '../../graph/link.js';
import { DEFAULT_LIMITS, type Limits } from '../../http1/index.js';

export function limitsOf({ http, maxConnections }: Link): Limits {
  const given = http?.limits ?? {};
  const ms = (seconds: number | undefined, byDefault: number) =>
    seconds === undefined ? byDefault : seconds * 1000;
  return {
    head: given.head ?? DEFAULT_LIMITS.head,
    fields: given.headers ?? DEFAULT_LIMITS.fields,
    connections: given.connections ?? maxConnections ?? DEFAULT_LIMITS.connections,
    headMs: ms(given.head_timeout, DEFAULT_LIMITS.headMs),
    idleMs: ms(given.idle_timeout, DEFAULT_LIMITS.idleMs),
    answerMs: ms(given.answer_timeout, DEFAULT_LIMITS.answerMs),
  };
}
