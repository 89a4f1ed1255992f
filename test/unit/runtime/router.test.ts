import { describe, expect, test } from 'vitest';
import { answer, HttpError, Router } from '../../../src/runtime/router.js';

const router = new Router({
  '/things': { GET: () => answer(['a']), POST: async (request) => answer(await request.json()) },
  '/things/:name': { PUT: (_request, name) => answer(name) },
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
});

const ask = (method: string, path: string, body?: unknown) =>
  router.handle({ method, path, json: async () => body });

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

  test.each([
    '/',
    '',
    '/nothing',
    '/things/',
    '/things/a/b',
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
