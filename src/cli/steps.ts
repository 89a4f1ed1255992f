/**
 * The steps of a link's way from its declaration to its first byte, in their order, and which of them an error is about.
 *
 * The daemon tries these in the same order and stops at the first that fails, so the code of its error tells which one
 * that was.
 */
import type { ErrorCode } from '../kernel/errors.js';
import type { ProblemCode } from '../manifest/problem.js';

export const STEPS = [
  'declared',
  'exporter',
  'allowed',
  'containers',
  'target',
  'socket',
  'identity',
  'connections',
] as const;
/** Steps that are taken where somebody asks for them: those that what is declared decides, and one that is tried. */
export const JUDGED = ['call', 'route'] as const;
export type StepName = (typeof STEPS)[number] | (typeof JUDGED)[number] | 'connect';

/** A device is looked for before anything is made in the consumer. */
export const DEVICE_STEPS: readonly StepName[] = [
  ...(['declared', 'exporter', 'allowed', 'containers'] as const),
  ...(['socket', 'target', 'identity', 'connections'] as const),
];

/** Which step an error is about; `anywhere`: the step that was being taken, which its message tells. */
export const STEP_OF: Readonly<Record<ErrorCode, StepName | 'anywhere'>> = {
  'manifest-invalid': 'declared',
  'runtime-away': 'declared',
  'runtime-answer': 'declared',
  'state-unreadable': 'declared',
  'engine-away': 'declared',
  'engine-slow': 'declared',
  'engine-answer': 'declared',
  'requirement-unmet': 'exporter',
  'type-unknown': 'exporter',
  'type-unsupported': 'exporter',
  'device-fd-only': 'allowed',
  'not-allowed': 'allowed',
  'consumer-not-running': 'containers',
  'provider-not-running': 'containers',
  'container-gone': 'containers',
  'not-a-container': 'anywhere',
  'target-invalid': 'target',
  'target-occupied': 'target',
  'target-read-only': 'target',
  'target-on-host': 'target',
  'target-lost': 'target',
  'target-unreachable': 'target',
  'certificate-invalid': 'target',
  'plugin-missing': 'target',
  'plugin-unreadable': 'target',
  'plugin-failed': 'target',
  'plugin-invalid': 'target',
  'provider-socket-missing': 'socket',
  'provider-not-a-socket': 'socket',
  'provider-loop': 'socket',
  'provider-refused': 'socket',
  'device-missing': 'socket',
  'device-wrong': 'socket',
  'device-ambiguous': 'socket',
  'device-busy': 'socket',
  'connector-missing': 'socket',
  'bus-off': 'socket',
  'bus-away': 'socket',
  'bus-unlisted': 'socket',
  'bus-refused': 'identity',
  'bus-uid': 'identity',
  'identity-unknown': 'identity',
  'provider-unhealthy': 'connections',
  'limit-reached': 'anywhere',
  'permission-denied': 'anywhere',
  'network-closed': 'anywhere',
  'broker-lost': 'anywhere',
  'relay-lost': 'anywhere',
  'broker-failed': 'anywhere',
  'timed-out': 'anywhere',
  internal: 'anywhere',
};

/** Problems of a revision that are not about the declaration as such. */
export const STEP_OF_PROBLEM: Partial<Readonly<Record<ProblemCode, StepName>>> = {
  'service-missing': 'exporter',
  'provider-missing': 'exporter',
  'provider-ambiguous': 'exporter',
  'bus-name-missing': 'exporter',
  'type-unserveable': 'exporter',
  'not-allowed': 'allowed',
};
