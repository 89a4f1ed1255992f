/** Hostile and odd answers by name; what a client reads of each stands in docs/hostile-http.md. */

export interface HostileAnswer {
  readonly name: string;
  readonly bytes: string;
  /** GET where it is not said. */
  readonly method?: string;
  /** The provider keeps its connection open behind it. */
  readonly stays?: boolean;
}

const KiB = 1024;
const answer = (lines: string, body = 'hello') => `HTTP/1.1 200 OK\r\n${lines}\r\n${body}`;
const counted = answer('Content-Length: 5\r\n');
const chunked = (body: string) => answer('Transfer-Encoding: chunked\r\n', body);
const stays = true;

export const HOSTILE_ANSWERS: readonly HostileAnswer[] = [
  { name: 'nothing at all', bytes: '' },
  { name: 'no HTTP', bytes: 'hello\r\n\r\n' },
  { name: 'half a head', bytes: 'HTTP/1.1 200 OK\r\nContent-' },
  {
    name: 'a length and chunks',
    bytes: answer('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'),
  },
  { name: 'two lengths', bytes: answer('Content-Length: 5\r\nContent-Length: 6\r\n') },
  {
    name: 'the same length twice',
    bytes: answer('Content-Length: 5\r\nContent-Length: 5\r\n'),
    stays,
  },
  { name: 'Content-Length: 5, 5', bytes: answer('Content-Length: 5, 5\r\n') },
  { name: 'Content-Length: -5', bytes: answer('Content-Length: -5\r\n') },
  { name: 'Transfer-Encoding: gzip', bytes: answer('Transfer-Encoding: gzip\r\n') },
  {
    name: 'chunks in HTTP/1.0',
    bytes: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  },
  { name: 'a folded line', bytes: answer('X: a\r\n b\r\nContent-Length: 5\r\n') },
  { name: 'a space before a colon', bytes: answer('X : a\r\nContent-Length: 5\r\n') },
  { name: 'NUL in a value', bytes: answer('X: a\0b\r\nContent-Length: 5\r\n') },
  { name: 'a line without a colon', bytes: answer('X\r\nContent-Length: 5\r\n') },
  { name: 'a bare CR', bytes: answer('X: a\rb\r\nContent-Length: 5\r\n') },
  { name: 'lines that end with LF', bytes: counted.replaceAll('\r\n', '\n') },
  { name: 'HTTP/2.0', bytes: counted.replace('1.1', '2.0') },
  { name: 'status 99', bytes: counted.replace('200', '99') },
  { name: 'status 000', bytes: counted.replace('200', '000') },
  { name: 'status 2000', bytes: counted.replace('200', '2000') },
  { name: 'no reason', bytes: counted.replace(' OK', ''), stays },
  { name: 'a head of 1 MiB', bytes: answer(`X: ${'a'.repeat(KiB * KiB)}\r\n`) },
  { name: '10,000 headers', bytes: answer('X: a\r\n'.repeat(10_000)) },
  { name: 'a body for HEAD', bytes: counted, method: 'HEAD', stays },
  {
    name: '204 with a length',
    bytes: 'HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello',
    stays,
  },
  {
    name: '304 with a length',
    bytes: 'HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n',
    stays,
  },
  { name: 'a body cut short', bytes: answer('Content-Length: 5\r\n', 'hel') },
  { name: 'chunks cut short', bytes: chunked('5\r\nhel') },
  { name: 'chunks without the last', bytes: chunked('5\r\nhello\r\n') },
  { name: 'a bad chunk size', bytes: chunked('5\r\nhello\r\n-1\r\n') },
  { name: 'bytes behind the body', bytes: `${counted}garbage`, stays },
  { name: 'a second answer', bytes: counted + counted.replace('hello', 'wrong'), stays },
  { name: 'no length, to the end', bytes: answer('') },
  { name: 'no length, HTTP/1.0', bytes: answer('').replace('1.1', '1.0') },
  {
    name: '100 and 103 before',
    bytes: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: <a>\r\n\r\n${counted}`,
    stays,
  },
  { name: '101 unasked', bytes: 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nhello', stays },
];
