/**
 * The one error class of the project and the closed list of its codes.
 *
 * Every failure that a person may meet has a code here and, beside it, one sentence on its remedy. A code
 * that is not in this list does not compile. ARCHITECTURE.md says which failures are values (result.ts) and which are
 * exceptions.
 */

export const REMEDIES = {
  'consumer-not-running': 'Start the consumer; the link is made as soon as it runs.',
  'provider-not-running': 'Start the provider; connections wait for it.',
  'provider-socket-missing':
    'Have the provider create its socket, or listen, where its manifest says.',
  'provider-not-a-socket':
    'Correct "socket" in the provider\'s services.json: it must be a unix socket.',
  'provider-loop':
    "Have the provider's manifest, or the symlink there, name the provider's own socket.",
  'provider-refused':
    "Check that the provider listens on its socket and lets the role's uid connect.",
  'device-missing':
    'Plug the device in, or have the provider make its node at the path that its manifest names.',
  'device-wrong':
    'Correct "socket" or the role: docs/devices.md says which node is what, and who gets it.',
  'device-ambiguous': 'Say more in "match": "phys" tells two devices of one kind apart.',
  'device-busy': 'End whoever else is master of the card, or leases the same connector.',
  'device-fd-only':
    'Require it with "mode": "fd": with a node of its own the consumer could do more.',
  'connector-missing': 'Correct "lease": the message says which connectors and CRTCs there are.',
  'container-gone':
    'Nothing to do: the container ended or its pid was recycled; a fresh graph is asked for.',
  'not-a-container':
    'Have the runtime report the pid of the container, not of a process on the host.',
  'target-invalid':
    'Give an absolute path without ".." that names a socket inside the consumer, or IP:PORT.',
  'target-occupied':
    'Remove what is at the target, or choose another target; it was left untouched.',
  'target-read-only':
    'Mount a writable folder (a tmpfs on /run, say) at the target in the consumer.',
  'target-on-host':
    'Wait for the container to enter its own root, or give it a private folder at the target.',
  'target-lost':
    'Nothing to do; where it happens again and again, find out who removes or covers it in the consumer.',
  'target-unreachable':
    'Check the folders on the way to the target, or the addresses, inside the consumer.',
  'not-allowed': 'Add the consumer\'s role, or container:<name>, to "allow" of the export.',
  'certificate-invalid':
    'Put a PEM certificate and its key into the folder of --certificates; they are read again every few seconds.',
  'provider-unhealthy':
    'Look at what the provider answers at the path of "health", and at its log.',
  'manifest-invalid':
    'Correct the entry that the message names; pv-xconnect check says what is wrong with it.',
  'requirement-unmet':
    'Do what the message says of the manifests, or make the requirement optional; pv-xconnect check says more.',
  'type-unknown': 'Use a type that this daemon has a plugin for, or load one with --plugin.',
  'type-unsupported': "Ask for a type that the provider's type can serve.",
  'identity-unknown':
    'Give the provider an /etc/passwd of its own, a readable regular file under 64 KiB.',
  'bus-off': 'Do what the message says, then restart; docs/hosted-bus.md has what the bus needs.',
  'bus-away': 'Nothing to do: connections wait for the bus; the log says why it is not there.',
  'bus-unlisted': "Start pv-xconnect with --bus and the path of the runtime's bus.",
  'bus-refused':
    'Have the role be a user that the bus knows: one of /etc/passwd beside it; on a hosted bus, one that an owner of a name has as "role" or in "allow".',
  'bus-uid':
    'Have the runtime give the link a uid within --bus-uids, or make that range larger; docs/hosted-bus.md says how.',
  'limit-reached':
    'Raise the limit of open files of pv-xconnect, or have fewer links; it is being retried.',
  'permission-denied':
    'Run pv-xconnect with the privileges that chapter "What the processes may do" of docs/security.md lists.',
  'network-closed':
    "Run pv-xconnect as root of the host, or give that container the host's network or a unix socket.",
  'broker-lost': 'Nothing to do: pv-xconnect ends and its runtime starts it anew.',
  'relay-lost': 'Nothing to do: the relay is started anew, and every link with it.',
  'broker-failed':
    "Look at the errno in the message; report it with the log if it is not the system's.",
  'runtime-away': 'Start the runtime, or say where its socket is with --pv-ctrl.',
  'runtime-answer': 'Update the runtime: its graph could not be read; the last good one stands.',
  'engine-away': 'Start the container engine, or say where its socket is with --docker.',
  'engine-slow':
    'Find out what keeps the engine busy (docker ps, docker inspect); the last good graph stands.',
  'engine-answer':
    'Update the engine: what it says of its containers could not be read; the last good graph stands.',
  'state-unreadable': 'Correct what the message names; the last good graph stands meanwhile.',
  'plugin-missing':
    'Give the path of its file, or the name of a package that is installed in the working folder.',
  'plugin-unreadable':
    'Let others enter the folder and read the file (chmod o+x, o+r), or put the plugin where they may.',
  'plugin-failed': 'Correct the plugin: docs/plugins.md says what it promises.',
  'plugin-invalid': 'Export a plugin object as docs/plugins.md describes.',
  'timed-out': 'Nothing to do: it is being retried.',
  internal: 'This is a bug: report it with the log.',
} as const;

export type ErrorCode = keyof typeof REMEDIES;

/** `{code, message}` as it stands in the wire form of the graph; the message is one sentence. */
export interface LinkError {
  readonly code: ErrorCode;
  readonly message: string;
}

/** On each of these errors, so that one of a plugin's own copy of this file is one, too. */
const BRAND = Symbol.for('pv-xconnect.XConnectError');

export class XConnectError extends Error {
  /** Whether it is one, of whichever copy of this class, with a code that we know. */
  static override [Symbol.hasInstance](value: unknown): value is XConnectError {
    if (typeof value !== 'object' || value === null || !(BRAND in value)) return false;
    const { code } = value as { code?: unknown };
    return typeof code === 'string' && Object.hasOwn(REMEDIES, code);
  }

  readonly [BRAND] = true;
  readonly code: ErrorCode;
  /** Identity of the link that failed (see `linkId`), where there is one. */
  readonly link: string | undefined;

  constructor(code: ErrorCode, message: string, options: { link?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'XConnectError';
    this.code = code;
    this.link = options.link;
  }

  get remedy(): string {
    return REMEDIES[this.code];
  }

  toLinkError(): LinkError {
    return { code: this.code, message: this.message };
  }

  /** Any thrown thing as an XConnectError; what is not one already is a bug, code `internal`. */
  static from(thrown: unknown, link?: string): XConnectError {
    if (thrown instanceof XConnectError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new XConnectError('internal', message, {
      ...(link === undefined ? {} : { link }),
      cause: thrown,
    });
  }
}

/** Prints the failure and its remedy on standard error, with the stack if `withStack`. Returns the exit code. */
export function report(thrown: unknown, withStack: boolean): 1 {
  const error = XConnectError.from(thrown);
  const detail = withStack && error.stack ? `\n${error.stack}` : '';
  process.stderr.write(`pv-xconnect: ${error.message} ${error.remedy}${detail}\n`);
  return 1;
}
