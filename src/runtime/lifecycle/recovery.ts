/**
 * What `auto_recovery` says, with its defaults: what follows when a container ends by itself. Pure.
 */
import {
  type AutoRecovery,
  BACK_OFF_TIME,
  BACK_OFF_UNITS,
  type BackOffUnit,
  type RecoveryPolicy,
} from '../../manifest/revision.js';

/** What follows when the retries are used up; a number is how long to wait before they begin anew, in milliseconds. */
export type BackOffPolicy = 'reboot' | 'never' | number;

export interface Recovery {
  readonly policy: RecoveryPolicy;
  /** 0: no limit. */
  readonly maxRetries: number;
  readonly retryDelayMs: number;
  readonly backOffFactor: number;
  /** A run of this length sets the retries back; 0: none does. */
  readonly resetWindowMs: number;
  /** How long it has to run, having reached its goal, to be stable. */
  readonly stableMs: number;
  readonly backOffPolicy: BackOffPolicy;
  /** As it was written, for those who ask. */
  readonly backOffText: string;
}

/** Without `auto_recovery`, as Pantavisor has it. */
export const NO_RECOVERY: Recovery = {
  policy: 'no',
  maxRetries: 0,
  retryDelayMs: 0,
  backOffFactor: 1,
  resetWindowMs: 0,
  stableMs: 0,
  backOffPolicy: 'reboot',
  backOffText: 'reboot',
};

/** No time is longer than 20 days, so that it fits a timer. */
const MOST_MS = 20 * 24 * 3_600_000;

/** `reboot`, `never`, or a time such as `30s`, `10min`, `1h`; undefined: it is none of these. */
export function backOffPolicyOf(text: string): BackOffPolicy | undefined {
  if (text === 'reboot' || text === 'never') return text;
  const [, amount, unit] = BACK_OFF_TIME.exec(text) ?? [];
  return amount && unit ? bounded(Number(amount) * BACK_OFF_UNITS[unit as BackOffUnit]) : undefined;
}

export function recoveryOf(declared: AutoRecovery | undefined): Recovery {
  if (!declared) return NO_RECOVERY;
  const backOffText = declared.backoffPolicy ?? NO_RECOVERY.backOffText;
  return {
    policy: declared.policy,
    maxRetries: declared.maxRetries ?? 0,
    retryDelayMs: bounded((declared.retryDelay ?? 0) * 1000),
    backOffFactor: declared.backoffFactor ?? 1,
    resetWindowMs: bounded((declared.resetWindow ?? 0) * 1000),
    stableMs: bounded((declared.stableTimeout ?? 0) * 1000),
    backOffPolicy: backOffPolicyOf(backOffText) ?? 'reboot',
    backOffText,
  };
}

function bounded(ms: number): number {
  return Math.min(ms, MOST_MS);
}
