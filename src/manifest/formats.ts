/** The formats of texts, by the names that schemas have for them. */
import { parseRule } from '../kernel/http-rule.js';
import { isAddress } from '../kernel/ip-address.js';
import { isCidr, isNetwork } from './address.js';
import { isContainerPath } from './paths.js';
import { isInterface, isMember, isMemberRule, isNamePattern, isObjectPath } from './policy.js';
import { isBusName, isClean, isHostname, isName, isPossible } from './text.js';

export const FORMATS = {
  possible: isPossible,
  clean: isClean,
  name: isName,
  path: isContainerPath,
  'name-pattern': isNamePattern,
  'member-rule': isMemberRule,
  'bus-name': isBusName,
  interface: isInterface,
  member: isMember,
  'object-path': isObjectPath,
  'http-rule': (text: string) => parseRule(text) !== null,
  cidr: isCidr,
  network: isNetwork,
  ip: isAddress,
  'host-or-cidr': (text: string) => isAddress(text) || isCidr(text),
  mac: (text: string) => /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/.test(text),
  hostname: isHostname,
} satisfies Readonly<Record<string, (text: string) => boolean>>;

export type Format = keyof typeof FORMATS;
