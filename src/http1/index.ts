/**
 * HTTP/1.1 for a proxy: one codec and one forwarder, for `rest` and `http` links alike (RFC 9110, RFC 9112).
 *
 * Bytes stay where they were read. A head is found and its fields identified in one pass, its lines are copied onward
 * as they stand but for those that are left out, and bodies pass in the pieces that they came in. A message whose
 * length two readers could understand differently is refused.
 *
 * ACCEPTED
 *   request   HTTP/1.0 and 1.1; a path, a URL whose host is the Host, or `*` for OPTIONS; one empty line before it
 *   hops      OPTIONS with Max-Forwards: passed on with one less; with 0 we answer 200 ourselves
 *   loops     up to 16 times through pv-xconnect, by Via; then 508
 *   answer    HTTP/1.0 and 1.1, with a reason or without; 1xx before the final one (dropped for 1.0 clients);
 *             101 where it was asked for
 *   bodies    with a Content-Length; chunked, in 1.1; until the end of the connection, in answers. Those with a
 *             Content-Length are passed on with it, others as chunks of our own, or to an HTTP/1.0 client until the end
 *   twice     the same Content-Length again (one is passed on)
 *   chunks    extensions that are well-formed, 16 KiB a body (dropped); trailers (passed unless they mean
 *             something to a proxy)
 *   early     an answer before the request's end: it is passed on, and the connection ends with it
 *
 * REFUSED: a request with 400, unless another status is given below; for an answer the client gets 502. The connection
 * ends.
 *   a bare CR or LF, a folded line, a space before a colon, control bytes, a name that is no token
 *   Content-Length that is not 1 to 15 digits; two that differ; one beside Transfer-Encoding
 *   Transfer-Encoding other than a single `chunked`; any in HTTP/1.0
 *   a chunk size that is not 1 to 15 hexadecimal digits up to 2^53, with anything but an extension around it
 *   no Host in HTTP/1.1; two; one that is no host and port; one that differs from the target's by more than its
 *   case or the scheme's own port
 *   a target with `#`, control bytes or bytes above 126 that are not percent-encoded
 *   CONNECT and TRACE (405); an expectation but 100-continue (417); another version (505)
 *   a head over its limit (431, its first line: 414), too many fields (431), too slow (408)
 *
 * NOT PASSED ON
 *   Connection and what it names, but for Host and what tells the length; Keep-Alive, Proxy-Connection, HTTP2-Settings;
 *   Upgrade that Connection does not name, and any to HTTP/2 or TLS, which would carry requests that we can't read;
 *   X-PV-*; names that other software may take for one that means something here (`Content_Length`);
 *   Content-Length of a 1xx or 204
 *
 * ADDED
 *   TE: trailers where the client takes them; Via (`via: false` leaves it out); Date to an answer without one
 *
 * A stream that is given to a Server, a ConnectionPool, a Tunnel or a probe is closed by it. Sizes are bytes, times
 * milliseconds. Nothing here throws or rejects for what a peer does: a Refusal or a LinkError says what was wrong.
 */

export { isSocket } from '../relay/byte-stream.js';
export { watchedSocketOf } from '../relay/watched-socket.js';
export { prefersJson } from './accept.js';
export { type Body, BodyReader, COUNTED, NO_BODY } from './body-reader.js';
export type { ByteWriter } from './byte-writer.js';
export { keptTrailers } from './chunk-reader.js';
export { deadlines, type Timed } from './deadlines.js';
export { type ErrorPage, errorPage } from './error-page.js';
export { type Client, Exchange, LINE_SHOWN, requestInfo } from './exchange.js';
export { MORE } from './fields.js';
export { passedFields, requestOmitting, writeRequest } from './forwarding.js';
export { DEFAULT_LIMITS, type Limits } from './limits.js';
export { Lingering } from './lingering.js';
export { PSEUDONYM } from './names.js';
export { ConnectionPool } from './pool.js';
export { type Probed, probe } from './probe.js';
export { LARGE_HEAD, type Refusal, refused } from './refusal.js';
export { isSameAuthority, RequestHead } from './request-head.js';
export { ResponseHead } from './response-head.js';
export {
  type Route,
  type RouteResult,
  routeOf,
  type Served,
  type Site,
  type TimeoutKind,
} from './route.js';
export { Server } from './server.js';
export { Tunnel } from './tunnel.js';
