/** What a peer may take, in bytes, numbers and milliseconds. Each can be set; these are the defaults of chapter 3. */

export interface Limits {
  /** Bytes of a head, start line and all. */
  readonly head: number;
  /** Header fields of a head. */
  readonly fields: number;
  /** Connections of one address or socket. */
  readonly connections: number;
  /** From the first byte of a head to its last. */
  readonly headMs: number;
  /** Without a request, or without a byte moving in one. */
  readonly idleMs: number;
  /** From the last byte of a request to the head of its answer. */
  readonly answerMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  head: 16 * 1024,
  fields: 100,
  connections: 1000,
  headMs: 10_000,
  idleMs: 60_000,
  answerMs: 60_000,
};
