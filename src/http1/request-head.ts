/**
 * The head of a request: request line and header section, read in place, and what they mean to a proxy.
 *
 * One object reads one head after the other, and its positions point into the buffer that was read: what is needed
 * after the next read has to be copied.
 */
import { Accept } from './accept.js';
import { type Body, CHUNKED, COUNTED, NO_BODY } from './body-reader.js';
import { FAULT, Fields, MORE } from './fields.js';
import { Framing } from './framing.js';
import {
  AUTHORITY,
  CR,
  digits,
  forEachMember,
  isAll,
  isExactly,
  isText,
  LF,
  NAME,
  QUESTION,
  SLASH,
  SP,
  TARGET,
} from './grammar.js';
import type { Limits } from './limits.js';
import {
  ACCEPT,
  DROPPED,
  EXPECT,
  HOST,
  MAX_FORWARDS,
  OTHER,
  PSEUDONYM,
  TE,
  TRANSFER_ENCODING,
  UPGRADE,
  VIA,
} from './names.js';
import {
  BAD_EXPECTATION,
  BAD_FORM,
  BAD_HOPS,
  BAD_HOST,
  BAD_METHOD,
  BAD_REQUEST_LINE,
  BAD_TARGET,
  BAD_VERSION,
  BARE_LF,
  CODING_IN_1_0,
  LARGE_HEAD,
  LONG_TARGET,
  LOOP,
  NO_HOST,
  OTHER_HOST,
  type Refusal,
  TWO_HOSTS,
} from './refusal.js';

/** Bytes of the longest method that is taken; the longest registered one has 16. */
const MAX_METHOD = 32;
/** How often a request may have passed through pv-xconnect, by its Via: more than any chain of links needs. */
const MAX_PASSED_ON = 16;
/** Case-sensitive (RFC 9112, 2.3). */
const PROTOCOL = 'HTTP/';
const VERSION = 'HTTP/1.';
const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']);
/** Protocols that carry HTTP requests which the link's rules would not be applied to. */
const HIDDEN = /^(h2c?|http|tls)(\/|$)/i;

export class RequestHead {
  readonly fields = new Fields();
  readonly framing = new Framing();
  buffer: Buffer = Buffer.alloc(0);
  /** The whole head, with the empty line that ends it, is from `from` to `to`. */
  from = 0;
  to = 0;
  /** Where the header section begins. */
  lineTo = 0;
  method = '';
  /** Path and query, or `*`; empty for a URL without a path. */
  targetFrom = 0;
  targetTo = 0;
  /** The target is a whole URL or `*`: the request line has to be written anew. */
  rewritten = false;
  /** The host, from the Host field or the target; empty where there is none. */
  hostFrom = 0;
  hostTo = 0;
  /** No Host field is passed on: there is none, or the target's host takes its place. */
  lacksHost = false;
  /** 0 or 1, of HTTP/1.0 or HTTP/1.1. */
  minor = 0;
  /** The client waits for 100 (Continue) before it sends the body. */
  expects = false;
  /** It asks to switch to another protocol, which may be passed on. */
  upgrades = false;
  /** The client takes trailers (TE: trailers). */
  trailers = false;
  /** Max-Forwards of an OPTIONS request (RFC 9110, 7.6.2); -1: there is none. */
  hops = -1;
  readonly accept = new Accept();

  /**
   * Reads a head from `start`, of the bytes up to `end`. Null: it is whole, and ends at `to`. MORE: its end is not
   * there yet. Else why it is refused.
   */
  read(buffer: Buffer, start: number, end: number, limits: Limits): Refusal | null | typeof MORE {
    this.buffer = buffer;
    // RFC 9112, 2.2: one empty line before the request line is ignored.
    if (buffer[start] === CR && start + 1 >= end) return MORE;
    const from = buffer[start] === CR && buffer[start + 1] === LF ? start + 2 : start;
    if (from >= end) return MORE;
    this.from = from;
    const line = this.#readLine(buffer, from, Math.min(end, from + limits.head));
    if (line === MORE && end - from >= limits.head) return LONG_TARGET;
    if (line !== null) return line;
    const to = this.fields.scan(
      buffer,
      this.lineTo,
      Math.min(end, from + limits.head),
      limits.fields,
    );
    if (to === FAULT) return this.fields.fault;
    if (to === MORE) return end - from >= limits.head ? LARGE_HEAD : MORE;
    this.to = to;
    return this.#mean();
  }

  /** How the body ends (RFC 9112, 6.3). */
  get body(): Body {
    if (this.framing.chunked) return CHUNKED;
    return this.framing.length > 0 ? COUNTED : NO_BODY;
  }

  get hasBody(): boolean {
    return this.body !== NO_BODY;
  }

  get isIdempotent(): boolean {
    return IDEMPOTENT.has(this.method);
  }

  /** Whether the client lets the connection be used for another request. */
  get keepsAlive(): boolean {
    return this.framing.keepsAlive(this.minor);
  }

  /** A path, perhaps with a query, or `*`. Latin-1. */
  target(): string {
    if (this.targetFrom === this.targetTo) return this.method === 'OPTIONS' ? '*' : '/';
    return this.buffer.toString('latin1', this.targetFrom, this.targetTo);
  }

  /** Host and port as the client sent them; empty where there is none. Latin-1. */
  host(): string {
    return this.buffer.toString('latin1', this.hostFrom, this.hostTo);
  }

  #readLine(buffer: Buffer, from: number, end: number): Refusal | null | typeof MORE {
    let at = from;
    while (at < end && NAME[buffer[at] as number] !== 0) at++;
    if (at - from > MAX_METHOD) return BAD_REQUEST_LINE;
    if (at >= end) return MORE;
    if (buffer[at] !== SP || at === from) return buffer[at] === LF ? BARE_LF : BAD_REQUEST_LINE;
    this.method = methodOf(buffer, from, at);

    const targetFrom = ++at;
    while (at < end && TARGET[buffer[at] as number] === 1) at++;
    if (at >= end) return MORE;
    const byte = buffer[at] as number;
    if (byte !== SP || at === targetFrom) {
      return byte === SP || byte === CR || byte === LF ? BAD_REQUEST_LINE : BAD_TARGET;
    }
    this.targetFrom = targetFrom;
    this.targetTo = at;

    const version = at + 1;
    const digit = version + VERSION.length;
    for (let i = version; i < Math.min(digit, end); i++) {
      if (buffer[i] === LF) return BAD_REQUEST_LINE;
    }
    if (digit + 2 >= end) return MORE;
    if (!isExactly(buffer, version, version + PROTOCOL.length, PROTOCOL)) return BAD_REQUEST_LINE;
    if (buffer[digit + 1] === LF) return BARE_LF;
    if (buffer[digit + 1] !== CR || buffer[digit + 2] !== LF) return BAD_REQUEST_LINE;
    this.minor = (buffer[digit] as number) - 48;
    if (!isExactly(buffer, version, digit, VERSION) || this.minor < 0 || this.minor > 1) {
      return BAD_VERSION;
    }
    this.lineTo = digit + 3;
    return null;
  }

  #mean(): Refusal | null {
    const { fields, framing, buffer } = this;
    if (this.method === 'CONNECT' || this.method === 'TRACE') return BAD_METHOD;
    const refusal = framing.read(fields, buffer);
    if (refusal) return refusal;
    this.hostFrom = this.hostTo = 0;
    this.expects = this.upgrades = this.trailers = false;
    this.hops = -1;
    this.accept.reset();
    let hosts = 0;
    let passedOn = 0;
    for (let i = 0; i < fields.count; i++) {
      switch (fields.ids[i]) {
        case OTHER:
          break;
        case HOST:
          hosts++;
          this.hostFrom = fields.valueFrom(i);
          this.hostTo = fields.valueTo(i);
          break;
        case TRANSFER_ENCODING:
          if (this.minor === 0) return CODING_IN_1_0;
          break;
        case ACCEPT:
          this.accept.add(buffer, fields.valueFrom(i), fields.valueTo(i));
          break;
        case EXPECT:
          if (!isText(buffer, fields.valueFrom(i), fields.valueTo(i), '100-continue')) {
            return BAD_EXPECTATION;
          }
          if (this.minor === 0) fields.ids[i] = DROPPED;
          else this.expects = true;
          break;
        case UPGRADE:
          if (this.#mayUpgrade(i)) this.upgrades = true;
          else fields.ids[i] = DROPPED;
          break;
        case TE:
          // Of all that TE may list, a proxy can promise trailers alone.
          forEachMember(buffer, fields.valueFrom(i), fields.valueTo(i), (from, to) => {
            if (this.minor === 1 && isText(buffer, from, to, 'trailers')) this.trailers = true;
          });
          break;
        case MAX_FORWARDS:
          if (this.method !== 'OPTIONS') break; // defined for no other method that is passed on
          if (this.hops >= 0) return BAD_HOPS;
          this.hops = digits(buffer, fields.valueFrom(i), fields.valueTo(i));
          if (this.hops < 0) return BAD_HOPS;
          break;
        case VIA:
          forEachMember(buffer, fields.valueFrom(i), fields.valueTo(i), (from, to) => {
            const at = to - PSEUDONYM.length;
            if (at > from && buffer[at - 1] === SP && isText(buffer, at, to, PSEUDONYM)) passedOn++;
          });
          if (passedOn > MAX_PASSED_ON) return LOOP;
          break;
      }
    }
    if (hosts > 1) return TWO_HOSTS;
    if (hosts === 0 && this.minor === 1) return NO_HOST;
    if (!isAll(AUTHORITY, buffer, this.hostFrom, this.hostTo)) return BAD_HOST;
    this.lacksHost = hosts === 0;
    return this.#form();
  }

  #mayUpgrade(index: number): boolean {
    if (this.minor === 0 || !this.framing.upgrade) return false;
    const { fields, buffer } = this;
    const protocols = buffer
      .toString('latin1', fields.valueFrom(index), fields.valueTo(index))
      .split(',');
    return !protocols.some((protocol) => HIDDEN.test(protocol.trim()));
  }

  /** RFC 9112, 3.2: the target is a path; `*` for OPTIONS; or a URL, whose host must be the same as the Host. */
  #form(): Refusal | null {
    const { buffer, fields, targetFrom, targetTo } = this;
    this.rewritten = false;
    if (buffer[targetFrom] === SLASH) return null;
    this.rewritten = true;
    if (isText(buffer, targetFrom, targetTo, '*'))
      return this.method === 'OPTIONS' ? null : BAD_FORM;
    let at = targetFrom;
    if (isText(buffer, at, at + 7, 'http://')) at += 7;
    else if (isText(buffer, at, at + 8, 'https://')) at += 8;
    else return BAD_FORM;
    const port = at - targetFrom === 7 ? ':80' : ':443';
    const hostFrom = at;
    while (at < targetTo && buffer[at] !== SLASH && buffer[at] !== QUESTION) at++;
    if (at === hostFrom || !isAll(AUTHORITY, buffer, hostFrom, at)) return BAD_FORM;
    const asked = buffer.toString('latin1', hostFrom, at);
    if (!this.lacksHost && !isSameAuthority(asked, this.host(), port)) return OTHER_HOST;
    this.lacksHost = true;
    for (let i = 0; i < fields.count; i++) if (fields.ids[i] === HOST) fields.ids[i] = DROPPED;
    this.hostFrom = hostFrom;
    this.hostTo = at;
    this.targetFrom = at;
    return null;
  }
}

/**
 * Whether two authorities (`host` or `host:port`) are the same but for case and the scheme's default port (RFC 3986,
 * 6.2.3). `port`: that default, as `:80`.
 */
export function isSameAuthority(one: string, other: string, port: string): boolean {
  const normal = (authority: string) => {
    const name = authority.toLowerCase();
    if (name.endsWith(port)) return name.slice(0, -port.length);
    return name.endsWith(':') ? name.slice(0, -1) : name;
  };
  return normal(one) === normal(other);
}

function methodOf(buffer: Buffer, from: number, to: number): string {
  // Most requests are GET, and a constant needs no new string.
  if (
    to - from === 3 &&
    buffer[from] === 71 &&
    buffer[from + 1] === 69 &&
    buffer[from + 2] === 84
  ) {
    return 'GET';
  }
  return buffer.toString('latin1', from, to);
}
