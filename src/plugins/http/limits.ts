/**
 * What a requirement says about limits, over the defaults. A consumer on its own socket may wait for its provider as
 * long as both like; at an address, where clients are anybody's, there is an end to it.
 */
import type { Link } from '../../graph/link.js';
import { DEFAULT_LIMITS, type Limits } from '../../http1/index.js';

export function limitsOf({ type, http, maxConnections }: Link): Limits {
  const given = http?.limits ?? {};
  const ms = (seconds: number | undefined, byDefault: number) =>
    seconds === undefined ? byDefault : seconds * 1000;
  const endless = type === 'rest';
  const { answerMs, silenceMs } = DEFAULT_LIMITS;
  const { POSITIVE_INFINITY: never } = Number;
  return {
    head: given.head ?? DEFAULT_LIMITS.head,
    fields: given.headers ?? DEFAULT_LIMITS.fields,
    connections: given.connections ?? maxConnections ?? DEFAULT_LIMITS.connections,
    streams: given.streams ?? DEFAULT_LIMITS.streams,
    headMs: ms(given.head_timeout, DEFAULT_LIMITS.headMs),
    idleMs: ms(given.idle_timeout, DEFAULT_LIMITS.idleMs),
    answerMs: ms(given.answer_timeout, endless ? never : answerMs),
    silenceMs: ms(given.silence_timeout, endless ? never : silenceMs),
  };
}
