/** What a peer may take, in bytes, numbers and milliseconds. Each can be set; these are the defaults. */

export interface Limits {
  /** Bytes of a head, start line and all. */
  readonly head: number;
  /** Header fields of a head. */
  readonly fields: number;
  /** Connections of one address or socket. */
  readonly connections: number;
  /** Of HTTP/2, of one address; beside the few that each connection may have. */
  readonly streams: number;
  /** From the first byte of a head to its last. */
  readonly headMs: number;
  /** Between two requests, and wherever the client is waited for: for more of a body, or to read what it is owed. */
  readonly idleMs: number;
  /** From the last byte of a request to the head of its answer. Infinity: as long as it takes. */
  readonly answerMs: number;
  /** Within an answer, without a byte from the provider. Infinity: as long as it takes. */
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
