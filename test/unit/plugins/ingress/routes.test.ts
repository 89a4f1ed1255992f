import { describe, expect, test } from 'vitest';
import {
  hostName,
  normalPath,
  prefixLength,
  RouteTable,
} from '../../../../src/plugins/ingress/routes.js';

const route = (host: string, prefix: string) => ({ host, prefix });

describe('a table of routes', () => {
  const table = new RouteTable<{ host: string; prefix: string }>();
  const all = [
    route('', ''),
    route('', '/api'),
    route('', '/api/v2'),
    route('a.example.org', '/only'),
    route('*.example.org', ''),
    route('*.b.example.org', '/x'),
    route('[::1]', ''),
  ];
  for (const one of all) expect(table.add(one)).toBe(true);

  test('takes one route for a host and a prefix', () => {
    expect(table.add(route('', '/api'))).toBe(false);
    expect(table.size).toBe(all.length);
  });

  test.each([
    ['other', '/', '', ''],
    ['other', '/api', '', '/api'],
    ['other', '/api/', '', '/api'],
    ['other', '/api/v2', '', '/api/v2'],
    ['other', '/api/v20', '', '/api'],
    ['other', '/apiv2', '', ''],
    ['a.example.org', '/only/this', 'a.example.org', '/only'],
    ['a.example.org', '/other', '*.example.org', ''],
    ['A.EXAMPLE.ORG.:8080', '/only', 'a.example.org', '/only'],
    ['c.b.example.org', '/x', '*.b.example.org', '/x'],
    ['c.b.example.org', '/y', '*.example.org', ''],
    ['b.example.org', '/x', '*.example.org', ''],
    ['example.org', '/x', '', ''],
    ['[::1]:80', '/api', '[::1]', ''],
    ['', '/api', '', '/api'],
    ['other', '*', '', ''],
    [`${'a'.repeat(241)}.example.org`, '/x', '*.example.org', ''],
    [`${'a'.repeat(242)}.example.org`, '/x', '', ''],
  ])('leads %s%s to the host "%s", prefix "%s"', (host, path, wantedHost, wantedPrefix) => {
    expect(table.find(host, path)).toEqual(route(wantedHost, wantedPrefix));
  });

  test('forgets a route that was removed, and finds nothing where nothing is left', () => {
    const one = new RouteTable<{ host: string; prefix: string }>();
    const [first, second] = [route('', '/a'), route('', '/b')];
    one.add(first);
    one.add(second);
    one.remove(first);
    expect(one.find('x', '/a')).toBeNull();
    expect(one.find('x', '/b')).toBe(second);
    one.remove(second);
    expect(one.size).toBe(0);
  });
});

test.each([
  ['/a/b?c=/../d', '/a/b'],
  ['/%61/%7E', '/a/~'],
  ['/%2fa', '/%2fa'],
  ['/%', '/%'],
  ['/a/..b/.c', '/a/..b/.c'],
  ['/a/../b', null],
  ['/a/%2e%2E/b', null],
  ['/a/.', null],
  ['/..', null],
  ['/./a', null],
  ['*', '*'],
])('the normal path of %s is %s', (target, path) => {
  expect(normalPath(target)).toBe(path);
});

test.each([
  ['/api/x', '/api', 4],
  ['/%61pi/x', '/api', 6],
  ['/%61%70%69', '/api', 10],
])('of %s the prefix %s is %i bytes', (target, prefix, length) => {
  expect(prefixLength(target, prefix)).toBe(length);
});

test.each([
  ['a.b:80', 'a.b'],
  ['A.B.', 'a.b'],
  ['[::1]:80', '[::1]'],
  ['a.b:', 'a.b'],
])('the name of the host %s is %s', (host, name) => {
  expect(hostName(host)).toBe(name);
});
