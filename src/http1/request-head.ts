/**
 * The head of a request: request line and header section, read in place, and what they mean.
 *
 * One object is used for one head after the other: what is to outlive the next one has to be copied.
 */
import { FAULT, Fields, MORE } from './fields.js';
import { digits, Framing, forEachMember } from './framing.js';
import {
  AUTHORITY,
  CR,
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

/** A method is a word, not a document. */
const MAX_METHOD = 32;
/** How often a request may have been passed on by us, as its Via has it: more than any chain of links needs. */
const MAX_PASSED_ON = 16;
/** Its case counts (RFC 9112, 2.3). */
const PROTOCOL = 'HTTP/';
const VERSION = 'HTTP/1.';
const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']);
/** Protocols in which requests go on that nobody would look at. */
const HIDDEN = /^(h2c?|http|tls)(\/|$)/i;

export class RequestHead {
  readonly fields = new Fields();
  readonly framing = new Framing();
  buffer: Buffer = Buffer.alloc(0);
  /** The whole head, with the empty line that ends it. */
  from = 0;
  to = 0;
  /** Behind the request line. */
  lineTo = 0;
  method = '';
  /** Path and query; `*`; or empty for the root of a URL without a path. */
  targetFrom = 0;
  targetTo = 0;
  /** The target is a whole URL or `*`, so that the line can't be passed on as it stands. */
  rewritten = false;
  /** Empty where there is none. */
  hostFrom = 0;
  hostTo = 0;
  /** No field says the Host: there is none, or it stands in the target. */
  lacksHost = false;
  /** Of HTTP/1. */
  minor = 0;
  /** The client waits for 100 (Continue). */
  expects = false;
  /** It asks for another protocol, one that may be passed on. */
  upgrades = false;
  /** It takes trailers (TE: trailers). */
  trailers = false;
  /** How many more may pass it on, of OPTIONS (RFC 9110, 7.6.2); -1: that is not said. */
  hops = -1;

  /** Null: a whole head was read, up to `to`. MORE: bytes are missing. Else why it is refused. */
  read(buffer: Buffer, start: number, end: number, limits: Limits): Refusal | null | typeof MORE {
    this.buffer = buffer;
    // RFC 9112, 2.2: one empty line before it is forgiven.
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

  get hasBody(): boolean {
    return this.framing.chunked || this.framing.length > 0;
  }

  get isIdempotent(): boolean {
    return IDEMPOTENT.has(this.method);
  }

  /** Whether the client will send another request on this connection, as far as it is up to it. */
  get keepsAlive(): boolean {
    return this.framing.keepsAlive(this.minor);
  }

  /** What is asked for: a path, perhaps with a query, or `*`. */
  target(): string {
    if (this.targetFrom === this.targetTo) return this.method === 'OPTIONS' ? '*' : '/';
    return this.buffer.toString('latin1', this.targetFrom, this.targetTo);
  }

  accept(): string {
    const { fields, buffer } = this;
    for (let i = 0; i < fields.count; i++) {
      if (fields.ids[i] !== ACCEPT) continue;
      return buffer.toString('latin1', fields.valueFrom(i), fields.valueTo(i));
    }
    return '';
  }

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
          // Of what it may say, this alone can be promised.
          forEachMember(buffer, fields.valueFrom(i), fields.valueTo(i), (from, to) => {
            if (this.minor === 1 && isText(buffer, from, to, 'trailers')) this.trailers = true;
          });
          break;
        case MAX_FORWARDS:
          if (this.method !== 'OPTIONS') break; // means nothing there
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

  /** RFC 9112, 3.2: a path; `*` for OPTIONS; or a URL, whose host and the Host must agree. */
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

/** Whatever their case, with the scheme's own port or without (RFC 3986, 6.2.3). `port`: that one, as `:80`. */
export function isSameAuthority(one: string, other: string, port: string): boolean {
  const normal = (authority: string) => {
    const name = authority.toLowerCase();
    if (name.endsWith(port)) return name.slice(0, -port.length);
    return name.endsWith(':') ? name.slice(0, -1) : name;
  };
  return normal(one) === normal(other);
}

function methodOf(buffer: Buffer, from: number, to: number): string {
  // Most are; and a constant is free.
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
