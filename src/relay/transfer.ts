/** What a transfer is asked for, and how it ended: native/relay/transfer.c does it. */

export interface TransferOptions {
  /** How many; Infinity: all until the end of the source. */
  readonly bytes: number;
  /** As what they are counted. */
  readonly to: 'provider' | 'consumer';
  /** The sink is told, by a half-close, when it was all or the source has ended. Default false. */
  readonly end?: boolean;
  /** Ends it when the sink has taken nothing for so long of what it is owed. 0, the default: never. */
  readonly idleMs?: number;
  /** Ends it when the source has sent nothing for so long, and nothing is owed. 0: never; `idleMs` by default. */
  readonly silenceMs?: number;
  /** Cancels it. */
  readonly signal?: AbortSignal;
}

/** As `enum pvx_outcome` numbers them. */
export const OUTCOMES = ['all', 'eof', 'source', 'sink', 'idle', 'silent', 'cancelled'] as const;

/**
 * `all`: every byte that was asked for. `eof`: the source ended first. Both leave the two ends usable. The others
 * don't, as bytes may have been read that did not arrive: `source` broke off; `sink` takes no more; `idle`,
 * `silent`; `cancelled`, by the caller or because the link has gone.
 */
export type TransferOutcome = (typeof OUTCOMES)[number];

export interface TransferResult {
  /** Bytes that the sink was sent. */
  readonly moved: number;
  readonly outcome: TransferOutcome;
}

export function outcomeOf(number: number): TransferOutcome {
  return OUTCOMES[number] ?? 'cancelled';
}
