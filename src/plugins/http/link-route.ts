/**
 * One link as a route: its pool of connections to the provider, its rules, its identity, its log. What `rest` and
 * `http` have in common.
 */
import type { Link } from '../../graph/link.js';
import {
  isSocket,
  type Limits,
  Pool,
  PSEUDONYM,
  type Refusal,
  type RequestHead,
  type Route,
  requestCut,
  Tunnel,
} from '../../http1/index.js';
import { type HttpRule, isAllowed, parseRule } from '../../kernel/http-rule.js';
import { everyLine, type Logger } from '../../kernel/log.js';
import { countClose, type LinkHost } from '../plugin.js';

export interface RouteOptions {
  /** What the request says of its way here is left out. */
  readonly forwarded: boolean;
  /** Host for a request without one. */
  readonly authority: string;
}

export class LinkRoute {
  readonly pool: Pool;
  /** All but `addLines`, which differ by plugin. */
  readonly route: Omit<Route, 'addLines'>;
  /** Null: the link wants none. */
  readonly #accessLog: Logger | null;
  readonly #rules: readonly HttpRule[] | null;
  readonly #forbidden: Refusal;

  constructor(link: Link, host: LinkHost, limits: Limits, options: RouteOptions) {
    this.#accessLog = link.http?.access_log ? everyLine(host.log) : null;
    this.pool = new Pool(async () => {
      const made = await host.connect();
      return 'code' in made ? made : host.bytes(made);
    }, limits);
    host.onProviderChange(() => this.pool.changed());
    this.#rules = link.rules?.flatMap((text) => parseRule(text) ?? []) ?? null;
    this.#forbidden = {
      status: 403,
      message: `No rule of ${link.name} lets the role ${link.role} ask this.`,
    };
    this.route = {
      pool: this.pool,
      cut: requestCut({ forwarded: options.forwarded, override: this.#rules !== null }),
      strip: 0,
      host: options.authority,
      via: link.http?.via === false ? null : PSEUDONYM,
      log: this.logOf(),
      onBegin: null,
      onEnd: null,
      onCut: (cut) => countClose(host.tally, cut),
      transfer: (source, sink, transfer) => host.transfer(source, sink, transfer),
      join: (client, provider) => {
        if (isSocket(client) && isSocket(provider)) host.join(client, provider, { fds: false });
        else new Tunnel(client, provider);
      },
    };
  }

  get hasRules(): boolean {
    return this.#rules !== null;
  }

  /** What logs a request, where the link wants it; `client`: the address that it came from. */
  logOf(client?: string): Route['log'] {
    const log = this.#accessLog;
    if (!log) return null;
    const from = client === undefined ? {} : { client };
    return (served) => log.info({ ...from, ...served }, 'request');
  }

  /** Null where the rules of the link let it pass. `target`: as the provider gets it. */
  refusal(request: RequestHead, target: string): Refusal | null {
    if (!this.#rules || isAllowed(this.#rules, request.method, target)) return null;
    return this.#forbidden;
  }

  close(): void {
    this.pool.close({ code: 'provider-not-running', message: 'The link has gone.' });
  }
}
