/**
 * Why a message is refused. Where it is a request, its client is answered with the status and the sentence; where it is
 * an answer, with 502 and the sentence.
 */

export interface Refusal {
  readonly status: number;
  /** One sentence for people: what was found. */
  readonly message: string;
  /** Seconds after which to try again (Retry-After). */
  readonly retryAfter?: number;
}

/** As of Result. */
export const refused = (refusal: Refusal) => ({ ok: false, refusal }) as const;

const refusal = (status: number, message: string): Refusal => ({ status, message });
const bad = (message: string): Refusal => refusal(400, message);

export const BARE_CR = bad('A CR without its LF was found in the head.');
export const BARE_LF = bad('An LF without its CR was found in the head.');
export const FOLDED = bad('A folded header line was found.');
export const SPACE_IN_NAME = bad('A space was found before the colon of a header.');
export const BAD_NAME = bad('A header name holds a byte that is none of a name.');
export const NO_COLON = bad('A header line without a colon was found.');
export const CONTROL_BYTE = bad('A control byte was found in a header.');
export const BAD_REQUEST_LINE = bad('The request line is not "METHOD target HTTP/1.1".');
export const BAD_TARGET = bad('The request target holds a byte that must be percent-encoded.');
export const BAD_FORM = bad('The request target is neither a path nor a URL of this server.');
export const BAD_LENGTH = bad('The Content-Length is not a plain number.');
export const TWO_LENGTHS = bad('Two different Content-Lengths were found.');
export const LENGTH_AND_CHUNKED = bad(
  'Both Content-Length and Transfer-Encoding were found, so the length is not certain.',
);
export const BAD_CODING = bad('A Transfer-Encoding other than "chunked" was found.');
export const CODING_IN_1_0 = bad('A Transfer-Encoding was found in an HTTP/1.0 message.');
export const NO_HOST = bad('HTTP/1.1 needs a Host, and none was found.');
export const TWO_HOSTS = bad('More than one Host was found.');
export const BAD_HOST = bad('The Host is not a name or address, perhaps with a port.');
export const OTHER_HOST = bad('The Host differs from that of the request target.');
export const BAD_HOPS = bad('The Max-Forwards is not one plain number.');
export const BAD_CHUNK = bad('A chunk of the body does not have a valid size and end.');
export const BAD_STATUS_LINE = bad('The status line is not "HTTP/1.1 200 text".');
export const UNASKED_UPGRADE = bad('It switched protocols without being asked.');
/** OPTIONS that may go no further is answered by us (RFC 9110, 7.6.2). */
export const NO_FURTHER = refusal(
  200,
  'This is pv-xconnect: Max-Forwards let the request come so far.',
);
/** RFC 5842, 7.2. */
export const LOOP = refusal(
  508,
  'The request was passed on by pv-xconnect too often: it goes in a circle.',
);
export const BAD_VERSION = refusal(505, 'HTTP/1.0 or HTTP/1.1 is spoken here.');
export const BAD_METHOD = refusal(405, 'The methods CONNECT and TRACE are not passed on.');
export const BAD_EXPECTATION = refusal(
  417,
  'The only expectation that can be met is "100-continue".',
);
export const LONG_TARGET = refusal(414, 'The request target is too long.');
export const LARGE_HEAD = refusal(431, 'The head of the request is too large.');
export const MANY_FIELDS = refusal(431, 'The request has too many headers.');
export const SLOW_HEAD = refusal(408, 'The request did not come in time.');
export const SLOW_BODY = refusal(408, 'The body of the request did not come in time.');
