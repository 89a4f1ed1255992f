import { expect, test } from 'vitest';
import { isOptionFault, readHttpOptions } from '../../../src/kernel/http-options.js';

test('options are read, and everything else is left alone', () => {
  const options = {
    strip_prefix: false,
    tls: { cert: 'site/cert.pem', key: 'key' },
    health: { path: '/health?x', interval: 0.5, timeout: 1 },
    limits: { head: 256, headers: 1000, connections: 1, head_timeout: 0.1 },
    access_log: true,
  };
  expect(readHttpOptions({ ...options, name: 'x', unknown: {} })).toEqual(options);
  expect(readHttpOptions({ tls: null })).toEqual({});
});

test.each([
  [{ strip_prefix: 'no' }, 'strip_prefix'],
  [{ tls: true }, 'tls'],
  [{ tls: { cert: 'a' } }, 'tls.key'],
  [{ tls: { cert: '../a', key: 'b' } }, 'tls.cert'],
  [{ tls: { cert: '/a', key: 'b' } }, 'tls.cert'],
  [{ tls: { cert: 'a', key: 'b/./c' } }, 'tls.key'],
  [{ tls: { cert: 'a', key: 'b', ca: 'c' } }, 'tls.ca'],
  [{ health: {} }, 'health.path'],
  [{ health: { path: 'x' } }, 'health.path'],
  [{ health: { path: '/a b' } }, 'health.path'],
  [{ health: { path: '/\r\nX: y' } }, 'health.path'],
  [{ health: { path: '/', interval: 0 } }, 'health.interval'],
  [{ health: { path: '/', timeout: 1e9 } }, 'health.timeout'],
  [{ limits: [] }, 'limits'],
  [{ limits: { head: 255 } }, 'limits.head'],
  [{ limits: { head: 1e9 } }, 'limits.head'],
  [{ limits: { headers: 1.5 } }, 'limits.headers'],
  [{ limits: { idle_timeout: Number.NaN } }, 'limits.idle_timeout'],
  [{ limits: { connection: 1 } }, 'limits.connection'],
  [{ access_log: 1 }, 'access_log'],
])('%j is at fault in %s', (options, path) => {
  const read = readHttpOptions(options);
  expect(isOptionFault(read) && read.path.join('.')).toBe(path);
});
