/**
 * Whether a consumer may call a method on its bus, by which rule, and otherwise which rule would let it: the policy of
 * the link is asked, or what is declared on the hosted bus, and no bus. Pure.
 */
import { type BusName, rightToCall } from '../graph/bus-names.js';
import { busDeclarations } from '../graph/hosted-bus.js';
import { type Link, type PolicyRules, RUNTIME_PROVIDER } from '../graph/link.js';
import { allowing, type Use } from '../graph/use.js';
import { suggestion } from '../kernel/nearest.js';
import { memberRule } from '../manifest/policy.js';
import { placeText, pointerTo, show } from '../manifest/problem.js';
import type { Revision, Service } from '../manifest/revision.js';
import { fits, Level, Policy } from '../plugins/dbus/policy.js';
import type { MethodCall, Verdict } from './questions.js';

/** `revision`: absent where nobody here knows it. `service`: the entry that the link leads to. */
export function callVerdict(
  link: Link,
  call: MethodCall,
  revision?: Revision,
  service?: Service,
): Verdict {
  if (link.type !== 'dbus') return { is: 'none', found: `no bus: the link is ${link.type}` };
  if (link.policy) return byPolicy(link, link.policy, call, service);
  if (link.provider !== RUNTIME_PROVIDER) {
    const found = 'no policy: every message passes, and the configuration of the bus decides';
    return { is: 'yes', found };
  }
  if (revision) return byDeclarations(link, call, revision);
  return { is: 'none', found: "who may call what on the runtime's bus is not known here" };
}

const methodOf = (call: MethodCall) => `${call.interface}.${call.member}`;
const at = ({ path }: MethodCall) => (path === undefined ? '' : ` at ${path}`);

function byPolicy(
  { role, policyMode }: Link,
  rules: PolicyRules,
  call: MethodCall,
  service: Service | undefined,
): Verdict {
  const { name } = call;
  const what = `${methodOf(call)} of ${name}`;
  const place =
    service && placeText({ ...service.place, pointer: pointerTo(service.place.pointer, 'policy') });
  const where = place ?? 'the policy';
  const fitting = rulesFor(rules, call);
  const [rule] = fitting;
  const exact = fitting.find(({ paths }) => paths === undefined);
  if (exact) return { is: 'yes', found: `${what}${at(call)}: ${exact.text} in ${where}` };
  if (rule) return { is: 'yes', found: `${what} at ${rule.paths} only: ${rule.text} in ${where}` };
  const method = `${methodOf(call)}${call.path === undefined ? '' : `@${call.path}`}`;
  const use: Use = { right: 'call', name, names: [name], rule: method, what };
  const isSeen = new Policy(rules).towards(name).level >= Level.see;
  const answer = isSeen ? 'AccessDenied' : 'ServiceUnknown';
  if (policyMode === 'audit') {
    return {
      is: 'yes',
      found: `${what}: no rule in ${where}, which is in audit mode and counts that only`,
    };
  }
  return {
    is: 'no',
    found: `No rule for the role ${show(role)} allows ${what}${at(call)}: it is answered with ${answer}.`,
    expected: `a rule of ${where} that allows it`,
    remedy: `Add ${allowing(use)} for ${show(role)} to ${place ?? 'the policy of the service'}.`,
  };
}

interface Allowing {
  /** As it stands in the policy. */
  readonly text: string;
  /** It allows the method at these paths, and none was asked for. */
  readonly paths?: string;
}

/** Each rule that allows the call, by itself. */
function rulesFor(rules: PolicyRules, { name, ...method }: MethodCall): Allowing[] {
  const isFor = (pattern: string) =>
    new Policy({ see: [pattern] }).towards(name).level > Level.none;
  const whole = (['own', 'talk'] as const).flatMap((right) =>
    (rules[right] ?? []).filter(isFor).map((pattern) => ({ text: `"${right}": ["${pattern}"]` })),
  );
  const narrow = Object.entries(rules.call ?? {}).flatMap(([pattern, texts]) => {
    if (!isFor(pattern)) return [];
    return texts.flatMap((rule): Allowing[] => {
      const paths = pathsOf(rule, method);
      const text = `"call": {"${pattern}": ["${rule}"]}`;
      return paths === null ? [] : [{ text, ...(paths === '' ? {} : { paths }) }];
    });
  });
  return [...whole, ...narrow];
}

/** Empty: it allows what was asked for; null: it does not; else the paths at which it does. */
function pathsOf(rule: string, call: Omit<MethodCall, 'name'>): string | null {
  const whole = memberRule(rule);
  const { path, ...anywhere } = whole;
  if (call.path !== undefined || path === undefined) return fits(whole, call) ? '' : null;
  if (!fits(anywhere, call)) return null;
  return whole.below ? `${path}/*` : path;
}

function byDeclarations({ role }: Link, call: MethodCall, revision: Revision): Verdict {
  const { names } = busDeclarations(revision);
  const what = `${methodOf(call)} of ${call.name}`;
  const owned = names.find(({ name }) => name === call.name);
  if (!owned) {
    const meant = suggestion(
      call.name,
      names.map(({ name }) => name),
    );
    return {
      is: 'no',
      found: `No container owns ${call.name} on the hosted bus${meant}.`,
      expected: 'one whose services.json "owns" it',
      remedy: 'Correct the name, or add a container that owns it.',
    };
  }
  const { container, service } = owned;
  const place = placeText(service.place);
  const why = whyMayCall(owned, role, call);
  if (why !== null)
    return { is: 'yes', found: `${what} of ${container}${at(call)}: ${why} in ${place}` };
  return {
    is: 'no',
    found: `The role ${show(role)} may not call ${what}${at(call)}: it is answered with AccessDenied.`,
    expected: `${show(role)} in "allow" or "calls" of ${place}`,
    remedy: `Add ${show(role)} to "allow" in ${place}.`,
  };
}

/** Null: it may not. */
function whyMayCall(owned: BusName, role: string, call: MethodCall): string | null {
  const has = (list: readonly string[] | undefined, value: string | undefined) =>
    list === undefined || value === undefined || list.includes(value);
  const right = rightToCall(
    owned,
    role,
    ({ interfaces, members, paths }) =>
      has(interfaces, call.interface) && has(members, call.member) && has(paths, call.path),
  );
  if (right === null) return null;
  if (right === 'owner') return 'it owns the name';
  if (right === 'everyone') return 'everyone may';
  if (right === 'allow') return `${show(role)} is in "allow"`;
  const paths = call.path === undefined && right.paths ? ` at ${right.paths.join(', ')} only` : '';
  return `${show(role)} is in "calls"${paths}`;
}
