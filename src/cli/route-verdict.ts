/**
 * Where a request over HTTP goes: to which of the links that share an address, with which path, and by which rule; or
 * why it is refused. Asked of the links as the daemon has them, and of nobody's server. Pure.
 */
import { endpointOf, prefixOf } from '../graph/endpoint.js';
import { type Link, linkId } from '../graph/link.js';
import { isAllowed, parseRule } from '../kernel/http-rule.js';
import { addressText } from '../kernel/ip-address.js';
import { placeText, show } from '../manifest/problem.js';
import type { Service } from '../manifest/revision.js';
import { below, normalPath, prefixLength, RouteTable } from '../plugins/ingress/routes.js';
import type { HttpRequest, Verdict } from './questions.js';

/**
 * `others`: links of the same consumer, of which those at the same address take part. `service`: the entry that the link
 * leads to, where it is known.
 */
export function routeVerdict(
  link: Link,
  request: HttpRequest,
  others: readonly Link[],
  service?: Service,
): Verdict {
  if (link.type === 'rest') return ruled(link, request, request.target, service);
  if (link.type !== 'http') return { is: 'none', found: `no HTTP: the link is ${link.type}` };
  const path = normalPath(request.target);
  if (path === null) {
    return {
      is: 'no',
      found: `${request.target} has dot segments: it is answered with 400.`,
      expected: 'a path without them',
      remedy: 'Ask for the path that it leads to.',
    };
  }
  const { host = hostOf(link) } = request;
  const taken = takerOf(link, others, host, path);
  const asked = `${request.method} ${path} of ${host === '' ? 'any host' : host}`;
  if (!taken) {
    return {
      is: 'no',
      found: `${asked} is for none of the links at ${addressOf(link)}: it is answered with 404.`,
      expected: expectedOf(link),
      remedy:
        'Ask for a path below the prefix of the target, or correct "target" or "host" of the requirement.',
    };
  }
  if (linkId(taken) !== linkId(link)) {
    return {
      is: 'no',
      found: `${asked} goes to ${taken.name} of ${taken.provider}, which is at ${taken.target}${forHost(taken)}.`,
      expected: expectedOf(link),
      remedy: 'Ask for a path that no other link has a longer prefix or a more specific host for.',
    };
  }
  const strips = link.http?.strip_prefix !== false;
  const strip = strips ? prefixLength(request.target, prefixOf(link.target)) : 0;
  return ruled(link, request, below(request.target, strip), service);
}

/** `target`: as the provider gets it. */
function ruled(
  link: Link,
  { method, target: sent }: HttpRequest,
  target: string,
  service: Service | undefined,
): Verdict {
  const { rules, provider, role, allowFrom } = link;
  const to = target === sent ? `${method} ${sent}` : `${method} ${sent}, as ${target},`;
  const from = allowFrom ? `, for clients of ${allowFrom.join(', ')} only` : '';
  if (!rules) return { is: 'yes', found: `${to} goes to ${provider}${from}; there are no rules` };
  const rule = rules.find((text) => isAllowed([parseRule(text) ?? []].flat(), method, target));
  if (rule !== undefined)
    return { is: 'yes', found: `${to} goes to ${provider} by ${show(rule)}${from}` };
  const place = service ? placeText(service.place) : `${link.name} of ${provider}`;
  return {
    is: 'no',
    found: `No rule for the role ${show(role)} allows ${method} ${target}: it is answered with 403.`,
    expected:
      rules.length === 0
        ? 'a rule, of which there is none'
        : `one of ${rules.map(show).join(', ')}`,
    remedy: `Add ${show(`${method} ${target.replace(/\?.*$/s, '')}`)} for ${show(role)} to "rules" in ${place}.`,
  };
}

interface Taker {
  readonly host: string;
  readonly prefix: string;
  readonly link: Link;
}

function takerOf(
  link: Link,
  others: readonly Link[],
  host: string,
  path: string,
): Link | undefined {
  const table = new RouteTable<Taker>();
  const sharing = others.filter(
    (one) =>
      one.type === 'http' &&
      !one.error &&
      one.consumer === link.consumer &&
      addressOf(one) === addressOf(link),
  );
  for (const one of sharing) {
    table.add({ host: one.host ?? '', prefix: prefixOf(one.target), link: one });
  }
  return table.find(host, path)?.link;
}

/** A host that the link answers to; empty: any. */
function hostOf({ host = '' }: Link): string {
  return host.replace(/^\*/, 'any');
}

/** The same for every spelling, as a listener is. */
function addressOf({ target }: Link): string {
  const at = endpointOf(target);
  return 'address' in at ? addressText(at.address) : target;
}

function forHost({ host }: Link): string {
  return host === undefined ? '' : ` for ${host}`;
}

function expectedOf(link: Link): string {
  const prefix = prefixOf(link.target);
  const path = prefix === '' ? 'a path' : `a path below ${prefix}`;
  return `${path}${forHost(link)} that leads to ${link.name} of ${link.provider}`;
}
