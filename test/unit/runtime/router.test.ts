import { describe, expect, test } from 'vitest';
import {
  answer,
  type Caller,
  HttpError,
  type Methods,
  Router,
} from '../../../src/runtime/router.js';
import { requestOf } from './api-request.js';

const routes = {
  '/things': { GET: () => answer(['a']), POST: async (request) => answer(await request.json()) },
  '/things/:name': { PUT: (_request, name) => answer(name) },
  '/things/first': { PUT: () => answer('the first') },
  '/things/:name/parts': { GET: (_request, name) => answer([name]) },
  '/refused': {
    GET: () => {
      throw new HttpError(409, 'Not now.');
    },
  },
  '/broken': {
    GET: () => {
      throw new TypeError('a bug');
    },
  },
} satisfies Record<string, Methods>;
const router = new Router(routes, ['/things']);

const ask = (method: string, path: string, body?: unknown, caller: Caller | null = null) =>
  router.handle(requestOf({ method, path, caller, json: async () => body }));

describe('the router', () => {
  test('finds what is asked for', async () => {
    expect(await ask('GET', '/things')).toEqual({ status: 200, body: ['a'] });
    expect(await ask('POST', '/things', { a: 1 })).toEqual({ status: 200, body: { a: 1 } });
  });

  test('hands over the name at the end of a path, decoded', async () => {
    expect((await ask('PUT', '/things/web')).body).toBe('web');
    expect((await ask('PUT', '/things/a%20b%2Fc')).body).toBe('a b/c');
    expect((await ask('PUT', '/things/__proto__')).body).toBe('__proto__');
  });

  test('finds a name in the middle, and what is spelled out before what has a name', async () => {
    expect((await ask('GET', '/things/a%20b/parts')).body).toEqual(['a b']);
    expect((await ask('PUT', '/things/first')).body).toBe('the first');
  });

  test('keeps a container that is no manager to what is open to all', async () => {
    const web = { container: 'web', isManager: false };
    expect((await ask('GET', '/things', undefined, web)).status).toBe(200);
    for (const path of ['/things/a', '/things/', '//things', '/things/../things', '/nothing']) {
      expect(await ask('PUT', path, undefined, web)).toMatchObject({
        status: 403,
        body: { Error: expect.stringContaining('"mgmt"') },
      });
    }
    expect((await ask('PUT', '/things/a', undefined, { ...web, isManager: true })).body).toBe('a');
  });

  test.each([
    '/',
    '',
    '/nothing',
    '/things/',
    '/things/a/b',
    '/things/a/parts/',
    '/things//parts',
    '/things/%zz',
    '/__proto__',
    'things',
  ])('answers 404 for %j', async (path) => {
    const answer = await ask('PUT', path);
    expect(answer.status).toBe(404);
    expect(answer.body).toEqual({ Error: expect.any(String) });
  });

  test.each(['DELETE', 'GET', 'constructor', '__proto__'])(
    'answers 405 for the method %s, and says which ones there are',
    async (method) => {
      const answer = await ask(method, '/things/web');
      expect(answer).toMatchObject({ status: 405, headers: { Allow: 'PUT' } });
    },
  );

  test('answers what a handler refuses, and lets a bug through', async () => {
    expect(await ask('GET', '/refused')).toMatchObject({
      status: 409,
      body: { Error: 'Not now.' },
    });
    await expect(ask('GET', '/broken')).rejects.toThrow('a bug');
  });
});
