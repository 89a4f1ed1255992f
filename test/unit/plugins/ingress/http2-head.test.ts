import { describe, expect, test } from 'vitest';
import { requestText, trailerHeaders } from '../../../../src/plugins/ingress/http2-head.js';

const HEADERS = {
  ':method': 'GET',
  ':path': '/a?b',
  ':authority': 'example.org',
  ':scheme': 'https',
};
const raw = (...more: string[]) => [...Object.entries(HEADERS).flat(), ...more];

describe('a head of HTTP/2 as HTTP/1.1', () => {
  test('has its pseudo-headers as request line and Host', () => {
    expect(requestText(HEADERS, raw('accept', '*/*'), true)).toBe(
      'GET /a?b HTTP/1.1\r\nHost: example.org\r\naccept: */*\r\n\r\n',
    );
  });

  test('has the crumbs of a cookie as one, and nothing that HTTP/2 has no use for', () => {
    const text = requestText(
      HEADERS,
      raw(
        'cookie',
        'a=1',
        'connection',
        'close',
        'cookie',
        'b=2',
        'host',
        'EXAMPLE.org:443',
        'te',
        'trailers',
      ),
      true,
    );
    expect(text).toBe(
      'GET /a?b HTTP/1.1\r\nHost: example.org\r\nte: trailers\r\ncookie: a=1; b=2\r\n\r\n',
    );
  });

  test('says chunked where a body follows and its length does not', () => {
    expect(requestText(HEADERS, raw(), false)).toContain('\r\nTransfer-Encoding: chunked\r\n');
    const known = { ...HEADERS, 'content-length': '5' };
    expect(requestText(known, raw('content-length', '5'), false)).not.toContain('chunked');
  });

  test.each([
    [{ ':path': '/a b' }],
    [{ ':path': '/a\r\nX-PV-Role: root' }],
    [{ ':path': '' }],
    [{ ':method': 'GET /x HTTP/1.1\r\n' }],
    [{ ':authority': 'a b' }],
    [{ ':authority': '' }],
  ])('is none with %j', (wrong) => {
    expect(requestText({ ...HEADERS, ...wrong }, raw(), true)).toBeNull();
  });

  test.each([
    ['host', 'evil'],
    ['host', 'example.org:80'],
    ['te', 'gzip'],
    ['te', 'trailers, deflate'],
  ])('is none with %s: %s', (name, value) => {
    expect(requestText(HEADERS, raw(name, value), true)).toBeNull();
  });

  test('takes the authority from Host where it has none', () => {
    const { ':authority': _, ...others } = HEADERS;
    expect(requestText({ ...others, host: 'a' }, ['host', 'a'], true)).toContain('Host: a\r\n');
    expect(requestText(others, [], true)).toBeNull();
  });
});

test('trailers are read from their lines, twice as a list', () => {
  const lines = Buffer.from('X-A: 1\r\nX-B:2\r\nX-A: 3\r\n');
  expect(trailerHeaders(lines)).toEqual({ 'x-a': ['1', '3'], 'x-b': '2' });
  expect(trailerHeaders(Buffer.alloc(0))).toEqual({});
});
