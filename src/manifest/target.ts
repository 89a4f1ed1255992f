/**
 * Targets: a path inside the consumer, or `IP:PORT[/PREFIX]`. What kind is wanted may not be known before
 * the provider is, so a target is checked by itself first and against its type later.
 */
import { type AddressFault, looksLikeAddress, parseAddress } from './address.js';
import { isContainerPath } from './paths.js';
import { type Place, type ProblemCode, show } from './problem.js';
import type { ProblemList } from './problem-list.js';
import { isOneOf, NETWORKED } from './vocabulary.js';

export const A_PATH = 'an absolute path without ".."';
export const AN_ADDRESS = 'IP:PORT, and for http perhaps a /PREFIX';

const FAULTS: Readonly<Record<AddressFault, { code: ProblemCode; expected: string }>> = {
  address: { code: 'address-invalid', expected: AN_ADDRESS },
  port: { code: 'port-invalid', expected: 'a TCP port from 1 to 65535' },
  prefix: { code: 'address-invalid', expected: 'a plain, normalized /PREFIX' },
};

export function isNetworked(type: string | undefined): boolean {
  return isOneOf(NETWORKED, type);
}

/** A path or an address, whichever type it is for. */
export function isSound(target: string): boolean {
  return looksLikeAddress(target)
    ? typeof parseAddress(target) !== 'string'
    : isContainerPath(target);
}

/** Is it a path or an address at all? False after adding a problem. */
export function targetIsSound(
  target: string,
  type: string | undefined,
  place: Place,
  problems: ProblemList,
): boolean {
  const networked = isNetworked(type) || (type === undefined && looksLikeAddress(target));
  if (!networked) {
    if (isContainerPath(target)) return true;
    problems.add('path-invalid', place, show(target), A_PATH);
    return false;
  }
  const address = parseAddress(target);
  if (typeof address !== 'string') {
    if (type !== 'tcp' || address.prefix === '') return true;
    problems.add('address-invalid', place, show(target), 'IP:PORT without a prefix for tcp');
    return false;
  }
  problems.add(FAULTS[address].code, place, show(target), FAULTS[address].expected);
  return false;
}
