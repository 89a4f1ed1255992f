import { expect, test } from 'vitest';
import { type HttpRule, isAllowed, parseRule } from '../../../src/kernel/http-rule.js';
import { fc, property } from '../../support/property.js';

const rules = (...texts: string[]) => texts.map((text) => parseRule(text) as HttpRule);

test.each([
  ...['', 'GET', '/x', 'GET x', 'get /x', 'GET  /x', 'GET /x ', 'GET,/x', 'GET /a/**/b', 'GET /a*'],
  ...['GET /x?y', 'GET /x#y', 'GET /%61', 'GET /a//b', 'GET /../x', 'GET /.', '** /x', 'GET /a\\b'],
])('"%s" is no rule', (text) => {
  expect(parseRule(text)).toBeNull();
});

test.each([
  ['GET /a', 'GET', '/a', true],
  ['GET /a', 'HEAD', '/a?x=/b', true],
  ['GET /a', 'POST', '/a', false],
  ['GET /a', 'GET', '/a/', false],
  ['GET /a', 'GET', '/A', false],
  ['GET /a', 'GET', '/%61', true],
  ['GET /', 'GET', '/', true],
  ['GET /**', 'GET', '/', true],
  ['* /a/**', 'BREW', '/a', true],
  ['* /a/**', 'GET', '/a/', true],
  ['* /a/**', 'GET', '/a/b/c', true],
  ['* /a/**', 'GET', '/ab', false],
  ['* /a/*/c', 'GET', '/a/b/c', true],
  ['* /a/*/c', 'GET', '/a//c', false],
  ['* /a/*', 'GET', '/a/', false],
  ['OPTIONS *', 'OPTIONS', '*', true],
  ['OPTIONS *', 'OPTIONS', '/', false],
  ['* /**', 'OPTIONS', '*', false],
  ['* /**', 'GET', 'http://a/', false],
  ['* /a b', 'GET', '/a%20b', false],
])('%s, asked %s %s: %s', (rule, method, target, allowed) => {
  const parsed = parseRule(rule);
  expect(parsed !== null && isAllowed([parsed], method, target)).toBe(allowed);
});

test.each([
  ...['/a/../b', '/a/%2e%2e/b', '/a/..', '/./a', '/a/%2E', '/a//b', '//', '/a/..;x/b', '/a/;x/b'],
  ...['/a%2fb', '/a%5cb', '/a\\b', '/a%00', '/a%0a', '/%252e%252e/', '/%zz', '/%ff', '/a%7f'],
])('%s is let pass by no rule', (target) => {
  expect(isAllowed(rules('* /**', '* *'), 'GET', target)).toBe(false);
});

property('nothing that is let pass leaves its folder, however it is decoded', async (holds) => {
  const piece = fc.constantFrom(
    '/',
    '.',
    '..',
    '%2e',
    '%2f',
    ';',
    'a',
    'b',
    '%61',
    '\\',
    '%5c',
    '%25',
  );
  await holds(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      const target = `/a/${pieces.join('')}`;
      if (!isAllowed(rules('GET /a/**'), 'GET', target)) return;
      let path = target;
      for (let i = 0; i < 3; i++)
        path = path.replace(/%([0-9a-f]{2})/gi, (_, hex) =>
          String.fromCharCode(Number.parseInt(hex, 16)),
        );
      const plain = path.replaceAll('\\', '/').replace(/;[^/]*/g, '');
      expect(new URL(plain, 'http://x').pathname).toMatch(/^\/a(\/|$)/);
    }),
    { runs: 2_000 },
  );
});
