/**
 * What can be wrong with a revision: the closed list of problem codes, each with one sentence on its
 * remedy, and the one function that makes a problem. Problems are values; reading manifests never throws.
 */

import { printable } from '../kernel/printable.js';

/** A remedy, or one for each severity where an error and a notice of one code want different ones. */
type Remedy = string | { readonly error: string; readonly notice: string };

export const PROBLEM_REMEDIES = {
  'path-missing': 'Give the path of a revision folder, a state file or a pvrexport.',
  'file-unreadable': 'Make it a regular file that this process may read.',
  'file-too-large': 'Shorten it, or move data that is no manifest elsewhere.',
  'archive-invalid': 'Export the revision anew: the archive needs a regular member named "json".',
  'json-invalid': 'Correct the JSON at the place that the message names.',
  'json-too-deep': 'Flatten the JSON.',
  'json-duplicate-key': 'Remove one of the two: only the last one counts.',
  'spec-wrong': 'Correct "#spec", or update pv-xconnect if the spec is a newer one.',
  'shape-wrong': 'Give the value that is expected there.',
  'field-unknown': {
    error: 'Correct it; until then neither it nor what it may have limited is served.',
    notice: 'Correct it, or remove it: it is ignored.',
  },
  'field-ignored': {
    error: 'Remove it, or write what is kept there; until then its entry is not served.',
    notice: 'Remove it: it is ignored.',
  },
  'name-invalid': 'Choose a name without slashes, control characters or reserved meaning.',
  'type-unknown': 'Correct the type.',
  'path-invalid': 'Give an absolute path without "..".',
  'path-too-long': 'Choose a shorter path.',
  'port-invalid': 'Give a TCP port from 1 to 65535.',
  'address-invalid': 'Give IP:PORT, or for http IP:PORT/PREFIX; an IPv6 address goes in brackets.',
  'policy-invalid': 'Write the policy as docs/manifests.md shows.',
  'service-duplicate': 'Rename one of the two services.',
  'service-reserved':
    'Rename the service: the name is that of the hosted bus, on which somebody owns a name.',
  'service-missing': {
    error: 'Add a container that exports the service, or make the requirement optional.',
    notice: 'Nothing to do if it may be missing; else add a container that exports it.',
  },
  'provider-missing': 'Correct "provider": it must name a container that exports the service.',
  'provider-ambiguous': 'Say which one with "provider".',
  'type-unserveable': 'Ask for a type that the provider can serve.',
  'target-duplicate': 'Give each requirement of the container its own target.',
  'ingress-collision': 'Give one of the two another address, host or path prefix.',
  'group-missing': 'Give the container a "group" in its run.json.',
  'object-missing': 'Export the revision anew, with all of its objects.',
  'object-wrong': 'Export the revision anew: the object was damaged on its way.',
  'lxc-refused': 'Remove the line, or have the container do it inside itself.',
  'pool-invalid': 'Correct the pool in device.json; docs/appengine.md has one.',
  'pool-collision': 'Give one of the two pools another bridge or subnet.',
  'pool-unknown': 'Correct the name of the pool, or declare it in device.json.',
  'pool-exhausted': 'Give the pool a larger subnet.',
  'pool-address': 'Give a free address of the pool, or none: then it is given one.',
  'pool-baked': 'Remove lxc.net from its configuration, or "network" from its run.json.',
  'pool-rootless': 'Run pv-appengine as root, or let the container do without a pool.',
  'bus-unknown': 'Own the name on "system-bus", the only bus that is hosted.',
  'bus-name-duplicate': 'Let one container alone own the name.',
  'activation-without-owns': 'Add "owns", or remove "activation".',
  'activation-cycle': 'Make one service of the cycle "always", or remove one requirement.',
  'bus-name-missing': {
    error: 'Add a container that owns the name, or make the requirement optional.',
    notice: 'Nothing to do if it may be missing; else add a container that owns it.',
  },
  'not-allowed': 'Add the role, or container:<name>, to "allow" of the service.',
  'role-unknown': 'Correct the name; there is nothing to do if it is for a container to come.',
  'label-invalid': 'Correct the label; docs/docker.md shows each form.',
  'label-inherited': {
    error:
      'Say the same in other words in a label of the container, or accept those of the image; until then the entry that it is a part of is not served.',
    notice:
      'Nothing to do if it may be ignored; else repeat it with another value, or accept those of the image.',
  },
  'image-unknown': 'Make the container anew, from an image that is there.',
  'container-unknown':
    'Look at it with "docker inspect", and restart the engine if that hangs too; its links wait.',
  'container-duplicate': 'Rename one of the two containers; until then neither of them is served.',
  'provider-scaled': 'Nothing to do if one is enough; the next one takes over when it stops.',
  'key-overridden': 'Nothing to do if it is meant; otherwise remove one of the two.',
  'problems-omitted': 'Correct those that are listed, then check again.',
} as const satisfies Readonly<Record<string, Remedy>>;

export type ProblemCode = keyof typeof PROBLEM_REMEDIES;
export type Severity = 'error' | 'notice';

export interface Problem {
  readonly code: ProblemCode;
  /** An error takes something out of the graph; a notice does not. */
  readonly severity: Severity;
  /** Path within the revision, such as `web/services.json`; or the revision's own where it can't be read. */
  readonly file: string;
  /** RFC 6901; empty: the whole file. */
  readonly pointer: string;
  readonly found: string;
  readonly expected: string;
  /** One sentence: what was found, what was expected, what to do. */
  readonly message: string;
}

/** Where a value stands. */
export interface Place {
  readonly file: string;
  readonly pointer: string;
}

/** Makes a problem; the message is put together from `found`, `expected` and the code's remedy. */
export function problem(
  code: ProblemCode,
  place: Place,
  found: string,
  expected: string,
  severity: Severity = 'error',
): Problem {
  const remedy = remedyOf({ code, severity });
  const lower = remedy.charAt(0).toLowerCase() + remedy.slice(1);
  return {
    code,
    severity,
    file: place.file,
    pointer: place.pointer,
    found,
    expected,
    message: `found ${found}, expected ${expected}: ${lower}`,
  };
}

/** In one sentence. */
export function remedyOf({ code, severity }: Pick<Problem, 'code' | 'severity'>): string {
  const remedies: Remedy = PROBLEM_REMEDIES[code];
  return typeof remedies === 'string' ? remedies : remedies[severity];
}

/** For people: `web/services.json:/services/0`, or the file alone. */
export function placeText({ file, pointer }: Place): string {
  return pointer === '' ? file : `${file}:${pointer}`;
}

/** A problem for people: one line, with its place. */
export function problemText(problem: Problem): string {
  return printable(`${placeText(problem)}: ${problem.message}`);
}

/** `base` with one more reference token, escaped as RFC 6901 asks. */
export function pointerTo(base: string, key: string | number): string {
  return `${base}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** A JSON value as it is shown to a person: one line, at most 80 characters. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 76)}...${text.slice(-1)}` : text;
}
