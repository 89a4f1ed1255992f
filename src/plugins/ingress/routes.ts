/**
 * Finds the link that a request at one address is for: by the most specific host, then by the longest prefix of its
 * path, in whole segments. Pure.
 */

export interface Routed {
  /** In lower case; `*.example.org`: all names below it; empty: any host. */
  readonly host: string;
  /** Without a slash at its end; empty: every path. */
  readonly prefix: string;
}

/**
 * Bytes of a name in the DNS (RFC 1035, 2.3.4). A longer one is not looked up, since each dot in it costs a look-up.
 */
const MAX_NAME = 253;

export class RouteTable<T extends Routed> {
  /** By host, the longest prefix first. */
  readonly #byHost = new Map<string, T[]>();

  get size(): number {
    return [...this.#byHost.values()].reduce((sum, routes) => sum + routes.length, 0);
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const routes of this.#byHost.values()) yield* routes;
  }

  /** False: there is a route for the same host and prefix. */
  add(route: T): boolean {
    const routes = this.#byHost.get(route.host) ?? [];
    if (routes.some(({ prefix }) => prefix === route.prefix)) return false;
    routes.push(route);
    routes.sort((a, b) => b.prefix.length - a.prefix.length);
    this.#byHost.set(route.host, routes);
    return true;
  }

  remove(route: T): void {
    const left = (this.#byHost.get(route.host) ?? []).filter((one) => one !== route);
    if (left.length === 0) this.#byHost.delete(route.host);
    else this.#byHost.set(route.host, left);
  }

  /** `host`: as the client sent it, perhaps with a port. `path`: from `normalPath`, or `*`. */
  find(host: string, path: string): T | null {
    const anyHost = this.#byHost.get('');
    if (this.#byHost.size > (anyHost ? 1 : 0)) {
      const found = this.#findByName(hostName(host), path);
      if (found) return found;
    }
    return anyHost?.find(({ prefix }) => isBelow(path, prefix)) ?? null;
  }

  #findByName(name: string, path: string): T | null {
    if (name.length > MAX_NAME) return null;
    const found = this.#match(name, path);
    if (found) return found;
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const below = this.#match(`*${name.slice(dot)}`, path);
      if (below) return below;
    }
    return null;
  }

  #match(host: string, path: string): T | null {
    return this.#byHost.get(host)?.find(({ prefix }) => isBelow(path, prefix)) ?? null;
  }
}

/** The host without its port and final dot, in lower case. */
export function hostName(host: string): string {
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}

function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return prefix === '' || path.length === prefix.length || path[prefix.length] === '/';
}

const UNRESERVED = /^[A-Za-z0-9\-._~]$/;

/**
 * The path of a target, without its query; characters that need no encoding are decoded (RFC 3986, 6.2.2). Null: it has
 * dot segments, which clients remove before they send a path (RFC 3986, 5.2.4), and which could lead out of a prefix.
 */
export function normalPath(target: string): string | null {
  const query = target.indexOf('?');
  let path = query < 0 ? target : target.slice(0, query);
  if (path.includes('%')) {
    path = path.replace(/%([0-9A-Fa-f]{2})/g, (encoded, digits: string) => {
      const char = String.fromCharCode(Number.parseInt(digits, 16));
      return UNRESERVED.test(char) ? char : encoded;
    });
  }
  return path.includes('/.') && /\/\.\.?(\/|$)/.test(path) ? null : path;
}

/** How many bytes of `target`, as it was sent, make up its `prefix`: more than the prefix has where it is encoded. */
export function prefixLength(target: string, prefix: string): number {
  if (target.startsWith(prefix)) return prefix.length;
  let at = 0;
  for (const char of prefix) at += target[at] === '%' && char !== '%' ? 3 : 1;
  return at;
}

/** A target without its first `strip` bytes, as the provider gets it. */
export function below(target: string, strip: number): string {
  const rest = target.slice(strip);
  return strip > 0 && !rest.startsWith('/') ? `/${rest}` : rest;
}
