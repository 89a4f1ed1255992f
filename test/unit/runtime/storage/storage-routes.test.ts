import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SerialQueue } from '../../../../src/kernel/serial-queue.js';
import { type ApiAnswer, Router } from '../../../../src/runtime/router.js';
import { Metadata } from '../../../../src/runtime/storage/metadata.js';
import { ObjectStore } from '../../../../src/runtime/storage/object-store.js';
import { storageRoutes } from '../../../../src/runtime/storage/storage-routes.js';
import { Trails } from '../../../../src/runtime/storage/trails.js';
import { requestOf } from '../api-request.js';

let folder: string;
let router: Router;
let trails: Trails;
let log: string[];
let busy: string | undefined;
let collected: number;

const STATE = { '#spec': 'pantavisor-service-system@1', 'web/run.json': { exec: ['web'] } };
const shaOf = (text: string) => createHash('sha256').update(text).digest('hex');

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-storage-'));
  trails = new Trails(join(folder, 'trails'));
  log = [];
  collected = 0;
  busy = undefined;
  await trails.put('0', STATE);
  const parts = {
    objects: new ObjectStore(join(folder, 'objects')),
    trails,
    userMeta: new Metadata(join(folder, 'user-meta')),
    deviceMeta: new Metadata(join(folder, 'device-meta')),
    changes: new SerialQueue(),
    collector: { run: async () => ++collected },
    current: () => '0',
    busyWith: () => busy,
    log: (line: string) => log.push(line),
  };
  router = new Router(storageRoutes(parts));
});
afterEach(() => rmSync(folder, { recursive: true }));

function ask(method: string, path: string, text = ''): Promise<ApiAnswer> {
  const bytes = Buffer.from(text);
  return router.handle(
    requestOf({
      method,
      path,
      length: bytes.length,
      body: (async function* () {
        yield bytes;
      })(),
      bytes: async () => bytes,
      json: async () => JSON.parse(text),
    }),
  );
}

describe('objects', () => {
  test('are put, listed with their size as a string, and answered as a file', async () => {
    const sha = shaOf('hello');
    expect(await ask('PUT', `/objects/${sha}`, 'hello')).toMatchObject({ status: 200 });
    expect((await ask('GET', '/objects')).body).toEqual([{ sha256: sha, size: '5' }]);
    const file = (await ask('GET', `/objects/${sha}`)).body;
    expect(file).toEqual({ path: join(folder, 'objects', sha), size: 5 });
    expect(await ask('GET', `/objects/${shaOf('other')}`)).toMatchObject({ status: 404 });
    expect(await ask('PUT', '/objects/hello', 'hello')).toMatchObject({ status: 400 });
  });

  test('of another hash are refused in the words that pvcontrol knows, and in detail in the log', async () => {
    const refused = await ask('PUT', `/objects/${shaOf('hello')}`, 'other');
    expect([refused.status, refused.body]).toEqual([422, { Error: 'Object has bad checksum' }]);
    expect(refused.headers?.['Error-Detail']).toContain(`SHA-256 ${shaOf('other')}`);
    expect(log[0]).toContain(`SHA-256 ${shaOf('other')}`);
    expect(readdirSync(join(folder, 'objects'))).toEqual([]);
  });

  test('are collected where there is no room for another one, and only then', async () => {
    await ask('PUT', `/objects/${shaOf('hello')}`, 'hello');
    expect(collected).toBe(0);
    const bytes = Buffer.from('hello');
    const request = { method: 'PUT', path: `/objects/${shaOf('hello')}`, length: 2 ** 60 };
    await router.handle(
      requestOf({
        ...request,
        body: (async function* () {
          yield bytes;
        })(),
      }),
    );
    expect(collected).toBe(1);
  });
});

describe('steps', () => {
  test('are put, with a message, and shown with their progress', async () => {
    expect(await ask('PUT', '/steps/locals/a', JSON.stringify(STATE))).toMatchObject({
      status: 200,
    });
    await ask('PUT', '/steps/locals/a/commitmsg', 'better');
    expect((await ask('GET', '/steps')).body).toMatchObject([
      { name: '0', commitmsg: '' },
      { name: 'locals/a', commitmsg: 'better', progress: { status: 'NEW' } },
    ]);
    expect((await ask('GET', '/steps/locals/a')).body).toEqual(STATE);
    expect((await ask('GET', '/steps/locals/a/progress')).body).toMatchObject({ status: 'NEW' });
    expect((await ask('GET', '/steps/current')).body).toEqual(STATE);
    expect((await ask('GET', '/steps/current/progress')).body).toMatchObject({ status: 'NEW' });
  });

  test.each([
    ['without a spec', {}, /"#spec" is nothing/],
    ['that are no object', [], /no object/],
    [
      'that name an object that is not here',
      { ...STATE, 'web/x': 'f'.repeat(64) },
      /web\/x.*put that first/,
    ],
  ])('%s are refused in the words that pvcontrol knows', async (_what, state, detail) => {
    const refused = await ask('PUT', '/steps/locals/a', JSON.stringify(state));
    expect([refused.status, refused.body]).toEqual([
      422,
      { Error: 'State verification has failed' },
    ]);
    expect(refused.headers?.['Error-Detail']).toMatch(detail);
    expect((await ask('GET', '/steps')).body).toHaveLength(1);
  });

  test.each([
    '/steps/nothing',
    '/steps/locals/a',
    '/steps/..',
    '/steps/%2e%2e%2fx',
    '/steps/locals/../0',
  ])('of another name are 404: %s', async (path) => {
    expect(await ask('GET', path)).toMatchObject({ status: 404 });
  });

  test('are put by names of their own only', async () => {
    expect(await ask('PUT', '/steps/locals/..', '{}')).toMatchObject({ status: 400 });
    expect(await ask('PUT', '/steps/0', '{}')).toMatchObject({ status: 405 });
  });
});

describe.each(['user-meta', 'device-meta'])('%s', (meta) => {
  test('has texts by key, which are put, replaced and deleted', async () => {
    expect((await ask('GET', `/${meta}`)).body).toEqual({});
    await ask('PUT', `/${meta}/greeting`, 'hello');
    await ask('PUT', `/${meta}/greeting`, 'hello world');
    expect((await ask('GET', `/${meta}`)).body).toEqual({ greeting: 'hello world' });
    expect(await ask('DELETE', `/${meta}/greeting`)).toMatchObject({ status: 200 });
    expect(await ask('DELETE', `/${meta}/greeting`)).toMatchObject({ status: 404 });
    expect((await ask('GET', `/${meta}`)).body).toEqual({});
  });

  test.each(['.hidden', '%2e%2e', 'a%2Fb', 'x'.repeat(201)])('has no key %s', async (key) => {
    expect(await ask('PUT', `/${meta}/${key}`, 'x')).toMatchObject({ status: 400 });
  });
});
