/**
 * HTTP/1.1 for a proxy: one codec and one forwarder, for `rest` and `http` links alike (RFC 9110, RFC 9112).
 *
 * Bytes stay where they were read. A head is found and told apart in one pass, its lines are copied onward as they
 * stand but for those that go no further, and bodies pass through in the pieces that they came in. How long a
 * message is, is never open to doubt: what two readers could understand differently is refused.
 *
 * ACCEPTED
 *   request   HTTP/1.0 and 1.1; a path, a URL whose host is the Host, or `*` for OPTIONS; one empty line before it
 *   hops      OPTIONS with Max-Forwards: one less is passed on; none left: 200, of our own
 *   loops     Via that names us more than 16 times: 508
 *   answer    HTTP/1.0 and 1.1, with a reason or without; 1xx before the final one (dropped for 1.0 clients);
 *             101 where it was asked for
 *   bodies    counted; chunked, in 1.1; until the end of the connection, in answers. Passed on counted where they
 *             came so, else as chunks of our own, or to an HTTP/1.0 client until the end
 *   twice     the same Content-Length again (one is passed on)
 *   chunks    extensions that are well-formed, 16 KiB a body (dropped); trailers (those that mean nothing to a proxy pass)
 *   early     an answer before the request's end: it passes, and the connection ends with it
 *
 * REFUSED, a request with 400 unless another status is said, an answer by 502 to the client; the connection ends
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
 *   Upgrade that was not asked for in Connection, and any to HTTP/2 or TLS, which would carry requests past us;
 *   X-PV-* and, of names that mean something here, every spelling that other software takes for the same
 *   (`Content_Length`); Content-Length of a 1xx or 204
 *
 * ADDED
 *   TE: trailers where the client takes them; Via (`via: false` leaves it out); Date to an answer without one
 *
 * A stream that is given to a Server, a Pool, a Tunnel or a probe is closed by them. Sizes are bytes, times
 * milliseconds. Nothing here throws or rejects for what a peer does: a Refusal or a LinkError says what was wrong.
 */

export { isSocket } from '../relay/byte-stream.js';
export { watchedSocketOf } from '../relay/watched-socket.js';
export { type Body, NO_BODY } from './body-reader.js';
export type { ByteWriter } from './byte-writer.js';
export { keptTrailers } from './chunk-reader.js';
export { type Client, startOf } from './client.js';
export { deadlines, type Timed } from './deadlines.js';
export { type ErrorPage, errorPage } from './error-page.js';
export { Exchange } from './exchange.js';
export { passedFields, requestCut, writeRequest } from './forwarding.js';
export { DEFAULT_LIMITS, type Limits } from './limits.js';
export { PSEUDONYM } from './names.js';
export { Pool } from './pool.js';
export { type Probed, probe } from './probe.js';
export { LARGE_HEAD, type Refusal } from './refusal.js';
export { isSameAuthority, RequestHead } from './request-head.js';
export type { ResponseHead } from './response-head.js';
export { type Route, routeOf, type Served, type Site } from './route.js';
export { Server } from './server.js';
export { Tunnel } from './tunnel.js';
