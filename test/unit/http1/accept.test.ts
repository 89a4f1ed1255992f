/** Which kind of error page a request's Accept asks for. */
import { expect, test } from 'vitest';
import { prefersJson } from '../../../src/http1/accept.js';

test.each([
  ['application/json', true],
  ['APPLICATION/JSON', true],
  ['application/problem+json', true],
  ['text/html, application/json;q=0.9', false],
  ['text/html;q=0.8, application/json;q=0.9', true],
  ['text/plain;q=0.001, application/json;q=0', false],
  ['application/json; q=.5', true],
  ['application/json;q=0.5;level=1, text/*;Q=0.25', true],
  ['application/json;q=7, text/plain', false],
  ['text/plain;q=0.49, application/json;q=0.5', true],
  ['text/plain;q=1.000, application/json;q=1', false],
  [`${'a/b,'.repeat(50)}application/json`, true],
  [' ,\t, application/json ', true],
  ['*/*', false],
  ['application/jsonp', false],
  ['', false],
])('%s prefers JSON: %s', (accept, json) => {
  expect(prefersJson(accept)).toBe(json);
});
