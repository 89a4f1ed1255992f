/** `POST /probe`: who may have a link tried, how often, and what is answered. */
import { describe, expect, it } from 'vitest';
import { ok, type Result } from '../../../src/kernel/result.js';
import type { Probed } from '../../../src/mesh/attacher.js';
import { Probes } from '../../../src/status/probes.js';
import { Control } from './control.js';

const ASKED = '?consumer=consumer&name=raw';
const DONE: Result<Probed> = ok({ found: 'connected', isProven: true });

const asked = (text: string) => new URLSearchParams(text);

describe('who may have a link tried', () => {
  const ask = async (uid: number | null, method = 'POST') => {
    const control = new Control({ probe: async () => DONE });
    await control.serve(uid);
    control.put();
    return control.ask(`${method} /probe${ASKED} HTTP/1.1\r\n\r\n`);
  };

  it.each([0, process.geteuid?.() ?? 0])('is root, and the user of the daemon: %s', async (uid) => {
    const { status, body } = await ask(uid);
    expect([status, JSON.parse(body)]).toEqual([
      200,
      { ok: true, found: 'connected', proven: true },
    ]);
  });

  it.each([4711, null])('is nobody else: %s', async (uid) => {
    const { status, body } = await ask(uid);
    const sentence = "Only root, or the daemon's own user, may ask for /probe.";
    expect([status, JSON.parse(body)]).toEqual([403, { Error: sentence }]);
  });

  it('has to say that something is to be done', async () => {
    const { status, headers } = await ask(0, 'GET');
    expect([status, headers.get('allow')]).toEqual([405, 'POST']);
  });
});

describe('a link', () => {
  const probesOf = (probe: () => Promise<Result<Probed> | null>) => {
    const control = new Control();
    for (let index = 0; index < 6; index++) control.put({ name: `s${index}` });
    control.put({ name: 's0', target: '/other' });
    return new Probes(control.store, probe);
  };

  it('is tried once at a time, and not again at once', async () => {
    let end: (result: Result<Probed>) => void = () => undefined;
    const probes = probesOf(() => new Promise((resolve) => (end = resolve)));
    const first = probes.answer(asked('consumer=consumer&name=s1'));
    const second = await probes.answer(asked('consumer=consumer&name=s1'));
    expect(second.status).toBe(429);
    expect(second.body).toEqual({ Error: 'This link is being tried already: wait for that.' });
    end(DONE);
    expect((await first).status).toBe(200);
    const third = await probes.answer(asked('consumer=consumer&name=s1'));
    expect(third.body).toEqual({
      Error: 'This link was tried a moment ago: ask again in a second.',
    });
  });

  it('waits while four others are tried', async () => {
    const probes = probesOf(() => new Promise(() => undefined));
    for (const name of ['s1', 's2', 's3', 's4'])
      void probes.answer(asked(`consumer=consumer&name=${name}`));
    expect((await probes.answer(asked('consumer=consumer&name=s5'))).status).toBe(429);
  });

  it('has to be one', async () => {
    const probes = probesOf(async () => DONE);
    const status = async (text: string) => (await probes.answer(asked(text))).status;
    expect(await status('consumer=consumer&name=s0')).toBe(404);
    expect(await status('consumer=consumer&name=s0&target=/other')).toBe(200);
    expect(await status('consumer=consumer&name=nothing')).toBe(404);
    expect(await status('consumer=consumer')).toBe(404);
  });

  it('that has left meanwhile, or fails, is told as an error with its remedy', async () => {
    const { body } = await probesOf(async () => null).answer(asked('consumer=consumer&name=s1'));
    expect(body).toMatchObject({
      ok: false,
      error: { code: 'container-gone', remedy: expect.any(String) },
    });
  });
});
