/**
 * One link as a route, which is what `rest` and `http` have in common: its pool of connections to the provider, its
 * rules, its limits, its access log, and how the provider is told which consumer a request comes from.
 */
import type { Link } from '../../graph/link.js';
import {
  ConnectionPool,
  DEFAULT_LIMITS,
  isSocket,
  type Limits,
  PSEUDONYM,
  type Refusal,
  type RequestHead,
  type Route,
  requestOmitting,
  type TimeoutKind,
  Tunnel,
} from '../../http1/index.js';
import type { DurationCount } from '../../kernel/durations.js';
import { type HttpRule, isAllowed, parseRule } from '../../kernel/http-rule.js';
import { everyLine, type Logger } from '../../kernel/log.js';
import { ok } from '../../kernel/result.js';
import type { ConnectionAbout } from '../../mesh/attacher.js';
import { countClose, type Described, type LinkHost } from '../plugin.js';

export interface RouteOptions {
  /** What a client says of the way that its request came (X-Forwarded-*) is left out. */
  readonly forwarded: boolean;
  /** The Host that is added to a request without one. */
  readonly authority: string;
}

export class LinkRoute {
  readonly pool: ConnectionPool;
  /** All but `addLines`, which the plugin adds. */
  readonly route: Omit<Route, 'addLines'>;
  /** Null: no access log is configured. */
  readonly #accessLog: Logger | null;
  /** Null: nobody wants to know how long requests take. */
  readonly #times: DurationCount | null;
  readonly #rules: readonly HttpRule[] | null;
  readonly #forbidden: Refusal;

  constructor(link: Link, host: LinkHost, limits: Limits, options: RouteOptions) {
    this.#times = host.tally.requestTimes ?? null;
    this.#accessLog = link.http?.access_log ? everyLine(host.log) : null;
    this.pool = new ConnectionPool(async () => {
      const made = await host.connect();
      return made.ok ? ok(host.bytes(made.value)) : made;
    }, limits);
    host.onProviderChange(() => this.pool.changed());
    this.#rules = link.rules?.flatMap((text) => parseRule(text) ?? []) ?? null;
    this.#forbidden = {
      status: 403,
      message: `No rule of ${link.name} lets the role ${link.role} ask this.`,
    };
    this.route = {
      pool: this.pool,
      omit: requestOmitting({ forwarded: options.forwarded, override: this.#rules !== null }),
      strip: 0,
      host: options.authority,
      via: link.http?.via === false ? null : PSEUDONYM,
      log: this.logOf(),
      onBegin: null,
      onEnd: null,
      onTimeout: (kind) => {
        countClose(host.tally, kind);
        const text = lateText(kind, link, limits);
        if (text !== null) host.log.warn({ code: kind }, text);
      },
      transfer: (source, sink, transfer) => host.transfer(source, sink, transfer),
      join: (client, provider, request) => {
        const about = asked(request);
        if (isSocket(client) && isSocket(provider)) {
          host.join(client, provider, { fds: false, about });
        } else new Tunnel(client, provider);
      },
    };
  }

  get hasRules(): boolean {
    return this.#rules !== null;
  }

  /** What logs a request, or counts how long it took; null: neither is wanted. `client`: the address that it came from. */
  logOf(client?: string): Route['log'] {
    const log = this.#accessLog;
    const times = this.#times;
    if (!log) return times && (({ milliseconds }) => times.add(milliseconds));
    const from = client === undefined ? {} : { client };
    return (served) => {
      times?.add(served.milliseconds);
      const milliseconds = Math.round(served.milliseconds);
      log.info({ ...from, ...served, milliseconds }, 'request');
    };
  }

  /** Null where the rules of the link allow the request. `target`: as the provider gets it. */
  refusal(request: RequestHead, target: string): Refusal | null {
    if (!this.#rules || isAllowed(this.#rules, request.method, target)) return null;
    return this.#forbidden;
  }

  close(): void {
    this.pool.close({ code: 'provider-not-running', message: 'The link has gone.' });
  }
}

/**
 * The limits that a requirement gives, and the defaults for the rest. A consumer on a socket of its own may wait for
 * its provider for ever; at an address, where anybody may be a client, the wait has an end.
 */
export function limitsOf({ type, http, maxConnections }: Link): Limits {
  const given = http?.limits ?? {};
  const ms = (seconds: number | undefined, byDefault: number) =>
    seconds === undefined ? byDefault : seconds * 1000;
  const endless = type === 'rest';
  const { answerMs, silenceMs } = DEFAULT_LIMITS;
  const { POSITIVE_INFINITY: never } = Number;
  return {
    head: given.head ?? DEFAULT_LIMITS.head,
    fields: given.headers ?? DEFAULT_LIMITS.fields,
    connections: given.connections ?? maxConnections ?? DEFAULT_LIMITS.connections,
    streams: given.streams ?? DEFAULT_LIMITS.streams,
    headMs: ms(given.head_timeout, DEFAULT_LIMITS.headMs),
    idleMs: ms(given.idle_timeout, DEFAULT_LIMITS.idleMs),
    answerMs: ms(given.answer_timeout, endless ? never : answerMs),
    silenceMs: ms(given.silence_timeout, endless ? never : silenceMs),
  };
}

/** The last request of a connection, for who wants to see it. */
export function asked(request: string | null): ConnectionAbout {
  return request === null ? {} : { request };
}

/** Why a connection has ended, where something took too long. */
export function ended(cut: TimeoutKind | undefined): Pick<Described, 'reason'> {
  return cut === undefined ? {} : { reason: cut };
}

/** A line of the log on what the provider did not do in time; null: it was the client. */
function lateText(kind: TimeoutKind, { provider, name }: Link, limits: Limits): string | null {
  const seconds = (ms: number) => `${ms / 1_000} s`;
  if (kind === 'silence-timeout') {
    const { silenceMs } = limits;
    return `an answer of ${provider} was cut, as nothing more of it came for ${seconds(silenceMs)}: "silence_timeout" of ${name}`;
  }
  if (kind !== 'answer-timeout') return null;
  return `${provider} did not answer a request within ${seconds(limits.answerMs)}: "answer_timeout" of ${name}`;
}

/** What a header value can't have as it stands, and the sign that begins an encoded byte. */
const UNSAFE = /[^\x20-\x7e]|%|^ | $/gu;

/**
 * `X-PV-Client` and `X-PV-Role`, each with its CRLF. Names in ASCII stay as they are, other bytes are percent-encoded.
 */
export function identityLines({ consumer, role }: Pick<Link, 'consumer' | 'role'>): string {
  return `X-PV-Client: ${headerValue(consumer)}\r\nX-PV-Role: ${headerValue(role)}\r\n`;
}

function headerValue(name: string): string {
  return name.replace(UNSAFE, (char) =>
    [...Buffer.from(char)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}
