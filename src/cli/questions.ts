/**
 * What `explain` can be asked beside how a link is: whether a call would be allowed, and where a request would go. Both
 * are answered by what is declared (call-verdict.ts, route-verdict.ts), and cost no connection. Pure.
 *
 * A call is told without its signature, as no rule speaks of arguments, and may be without its path: a rule for some
 * paths only is then told as such.
 */
import { isInterface, isMember, isObjectPath } from '../manifest/policy.js';
import { isBusName } from '../manifest/text.js';

/** `none`: it is no question about a link of this type, or nobody here knows. `found`: a phrase; of `no` one sentence. */
export type Verdict =
  | { readonly is: 'yes' | 'none'; readonly found: string }
  | {
      readonly is: 'no';
      readonly found: string;
      readonly expected: string;
      readonly remedy: string;
    };

export interface MethodCall {
  /** Well-known, of whom is called. */
  readonly name: string;
  readonly interface: string;
  readonly member: string;
  /** Undefined: whichever. */
  readonly path: string | undefined;
}

export const CALL_FORM = '[NAME:]INTERFACE.METHOD[@PATH]';

/** `[NAME:]INTERFACE.METHOD[@PATH]`, the name being the interface's unless told otherwise; null: it is no such thing. */
export function parseCall(text: string): MethodCall | null {
  const [, named, method = '', path] = /^(?:([^:@]+):)?([^:@]+)(?:@(.+))?$/.exec(text) ?? [];
  const dot = method.lastIndexOf('.');
  const [of, member] = [method.slice(0, Math.max(0, dot)), method.slice(dot + 1)];
  const name = named ?? of;
  if (!isInterface(of) || !isMember(member) || !isBusName(name)) return null;
  if (path !== undefined && !isObjectPath(path)) return null;
  return { name, interface: of, member, path };
}

export interface HttpRequest {
  readonly method: string;
  /** Undefined: whichever leads to the link. */
  readonly host: string | undefined;
  /** Path and query. */
  readonly target: string;
}

export const URL_FORM = '[METHOD ]PATH or [METHOD ]http://HOST[:PORT]PATH';

/** `/path`, `http://host/path`, each with a method in front or without (GET). Null: it is no such thing. */
export function parseRequest(text: string): HttpRequest | null {
  const form = /^(?:([A-Z]+) +)?(?:https?:\/\/([^/?#\s]+))?(\/[^\s#]*)?$/i.exec(text);
  if (!form) return null;
  const [, method = 'GET', host, target = host === undefined ? '' : '/'] = form;
  return target === '' ? null : { method: method.toUpperCase(), host, target };
}
