/** What peers may use of an address or a socket, and how long. Each limit can be configured (docs/rest.md). */

export interface Limits {
  /** Bytes of a head, from its start line to the empty line. */
  readonly head: number;
  /** Header fields of a head. */
  readonly fields: number;
  /** Open connections of one address or socket. */
  readonly connections: number;
  /** HTTP/2 streams of one address, beside the few that each connection may have in any case. */
  readonly streams: number;
  /** Milliseconds from the first byte of a head to its last; so are all below. */
  readonly headMs: number;
  /** Between two requests, and while the client is waited for: to send more of a body, or to read more of an answer. */
  readonly idleMs: number;
  /** From the last byte of a request to the head of its answer. Infinity: no limit. */
  readonly answerMs: number;
  /** Between two reads of an answer. Infinity: no limit. */
  readonly silenceMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  head: 16 * 1024,
  fields: 100,
  connections: 1000,
  streams: 4000,
  headMs: 10_000,
  idleMs: 60_000,
  answerMs: 5 * 60_000,
  silenceMs: 60 * 60_000,
};
