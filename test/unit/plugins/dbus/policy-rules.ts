/** Policies of few names, so that their rules meet each other often. */
import type { PolicyRules } from '../../../../src/graph/link.js';
import { fc } from '../../../support/property.js';

const element = fc.constantFrom('a', 'b', 'ab');
export const BUS_NAME = fc
  .array(element, { minLength: 2, maxLength: 4 })
  .map((parts) => parts.join('.'));
const pattern = fc.oneof(
  BUS_NAME,
  BUS_NAME.map((one) => `${one}.*`),
  element.map((one) => `${one}.*`),
  fc.constant('*'),
);
export const OBJECT = fc.array(element, { maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
const pathRule = fc.oneof(
  OBJECT,
  OBJECT.map((one) => (one === '/' ? '/*' : `${one}/*`)),
);
const method = fc.oneof(
  fc.tuple(BUS_NAME, fc.constantFrom('M', 'N', '*')).map((parts) => parts.join('.')),
  fc.constant('*'),
);
const rule = fc.oneof(
  method,
  pathRule.map((one) => `@${one}`),
  fc.tuple(method, pathRule).map((parts) => parts.join('@')),
);
const names = fc.array(pattern, { maxLength: 3 });
const byName = fc.dictionary(pattern, fc.array(rule, { maxLength: 3 }), { maxKeys: 3 });

export const POLICY_RULES: fc.Arbitrary<PolicyRules> = fc.record({
  ...{ see: names, talk: names, own: names },
  ...{ call: byName, broadcast: byName },
});
