/** The seven rules of chapter 2, "Reconciling", by number. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Link, linkId } from '../../../src/graph/link.js';
import { Mesh } from '../../../src/mesh/mesh.js';
import { unixLink } from '../../support/link.js';
import { ModelAttacher, type ModelLink } from './model-attacher.js';

const DRAIN_MS = 5_000;
const C = 100;
const P = 200;

let attacher: ModelAttacher;
let mesh: Mesh;
let stamp: number;
let shown: Map<string, [string, string | null]>;
let gone: string[];
let stale: number;

beforeEach(() => {
  vi.useFakeTimers();
  attacher = new ModelAttacher();
  attacher.generations.set(C, 1).set(P, 2);
  mesh = new Mesh(attacher, { drainMs: DRAIN_MS });
  stamp = 0;
  shown = new Map();
  gone = [];
  stale = 0;
  mesh.on('state', (id, _link, state, error) => shown.set(id, [state, error?.code ?? null]));
  mesh.on('gone', (id) => gone.push(id));
  mesh.on('stale', () => stale++);
});
afterEach(() => {
  expect(attacher.complaints).toEqual([]);
  vi.useRealTimers();
});

const link = (fields: Partial<Link> = {}) =>
  unixLink({ consumerPid: C, providerPid: P, ...fields });
const ID = linkId(link());

/** Everything that needs no time. */
const settle = () => vi.advanceTimersByTimeAsync(0);

async function graph(...links: Link[]): Promise<void> {
  mesh.reconcile({ links, stamp: ++stamp });
  await settle();
}

function planted(fields: Partial<Link> = {}): ModelLink {
  const { consumer, target } = link(fields);
  const found = attacher.planted.get(`${consumer}${target}`);
  if (!found) throw new Error(`nothing is planted at ${target}`);
  return found;
}

describe('rule 1: links that come and go', () => {
  test('a new link is attached', async () => {
    await graph(link());
    expect(planted().link).toEqual(link());
  });

  test('a link that left is detached with the drain time and then gone', async () => {
    await graph(link());
    const left = planted();
    await graph();
    expect(left.detached).toEqual([DRAIN_MS]);
    expect(attacher.planted.size).toBe(0);
    expect(gone).toEqual([ID]);
    expect(mesh.size).toBe(0);
  });

  test('a link that left is draining until its last connection ended', async () => {
    attacher.busy = true;
    await graph(link());
    const left = planted();
    await graph();
    expect(shown.get(ID)).toEqual(['draining', null]);
    expect(gone).toEqual([]);
    left.finish();
    await settle();
    expect(gone).toEqual([ID]);
  });

  test('a link that comes back while it drains is attached anew at once', async () => {
    attacher.busy = true;
    await graph(link());
    await graph();
    await graph(link());
    expect(planted().detached).toEqual([]);
    planted().listener.onState('established', null);
    await vi.advanceTimersByTimeAsync(DRAIN_MS);
    expect(shown.get(ID)).toEqual(['established', null]);
    expect(gone).toEqual([]);
  });

  test('a link whose role was revoked has no drain time', async () => {
    await graph(link({ role: 'operator' }));
    const revoked = planted();
    await graph(link({ role: 'monitor' }));
    expect(revoked.detached).toEqual([0]);
    await graph(link({ error: { code: 'not-allowed', message: 'No.' } }));
    expect(attacher.planted.size).toBe(0);
    expect(shown.get(ID)).toEqual(['failed', 'not-allowed']);
  });

  test('a link that the builder knows to be wrong is shown, and never attached', async () => {
    await graph(link({ error: { code: 'not-allowed', message: 'No.' } }));
    expect(shown.get(ID)).toEqual(['failed', 'not-allowed']);
    expect(attacher.calls).toBe(0);
  });

  test('a consumer that is not running has nothing attached, and is waited for', async () => {
    await graph(link({ consumerPid: 0 }));
    expect(shown.get(ID)).toEqual(['waiting', 'consumer-not-running']);
    expect(attacher.calls).toBe(0);
    await graph(link());
    expect(planted().link.consumerPid).toBe(C);
  });

  test('of two links with one identity in a graph the first counts', async () => {
    await graph(link(), link({ socket: '/other' }));
    expect(planted().link.socket).toBe(link().socket);
    expect(attacher.attempts.length).toBe(1);
  });
});

describe('rule 2: restarts', () => {
  test('a consumer with another pid has its link attached anew', async () => {
    await graph(link());
    attacher.generations.set(101, 3);
    attacher.die(C);
    await graph(link({ consumerPid: 101 }));
    expect(planted().consumerGeneration).toBe(3);
  });

  test('a consumer with the same pid and another process has its link attached anew', async () => {
    await graph(link());
    attacher.die(C, true);
    await settle();
    await vi.advanceTimersByTimeAsync(200);
    expect(planted().consumerGeneration).toBe(1001);
  });

  test('a consumer that only another mount namespace tells apart has its link attached anew', async () => {
    await graph(link());
    const before = planted();
    attacher.generations.set(C, 77);
    await graph(link());
    expect(before.detached.length).toBe(1);
    expect(planted().consumerGeneration).toBe(77);
  });

  test('a consumer that died is waited for, and a fresh graph is asked for', async () => {
    await graph(link());
    attacher.die(C);
    await settle();
    expect(shown.get(ID)).toEqual(['waiting', 'container-gone']);
    expect(stale).toBeGreaterThan(0);
  });

  test('a provider with another pid needs no new socket', async () => {
    await graph(link());
    const before = planted();
    await graph(link({ providerPid: 201 }));
    expect(planted()).toBe(before);
    expect(before.retargeted.map(({ providerPid }) => providerPid)).toEqual([201]);
    expect(attacher.attempts.length).toBe(1);
  });

  test('a provider that came back with the same pid is looked up by the next graph', async () => {
    await graph(link());
    planted().listener.onState('waiting', { code: 'provider-not-running', message: 'It ended.' });
    await graph(link());
    expect(planted().retargeted.length).toBe(1);
    planted().listener.onState('established', null);
    await graph(link());
    expect(planted().retargeted.length).toBe(1);
  });
});

describe('rule 3: any other changed field', () => {
  test.each([
    { socket: '/other' },
    { role: 'x' },
    { uid: 5 },
    { type: 'wayland' },
    { mode: 'seqpacket' as const },
    { fds: false },
    { interface: 'other' },
    { provider: 'somebody-else' },
  ])('re-attaches that link alone: %o', async (change) => {
    const neighbour = link({ target: '/run/neighbour' });
    await graph(link(), neighbour);
    const [before, beside] = [planted(), planted({ target: '/run/neighbour' })];
    await graph(link(change), neighbour);
    expect(before.detached.length).toBe(1);
    expect(planted().link).toMatchObject(change);
    expect(planted({ target: '/run/neighbour' })).toBe(beside);
    expect(beside.retargeted).toEqual([]);
  });

  test('the new attachment does not wait for the drain of the old one', async () => {
    attacher.busy = true;
    await graph(link());
    await graph(link({ socket: '/other' }));
    expect(planted().link.socket).toBe('/other');
  });

  test('a field that nobody reads changes nothing', async () => {
    await graph(link());
    const { calls } = attacher;
    await graph(link({ extra: { new: 1 } }));
    expect(attacher.calls).toBe(calls);
  });
});

describe('rule 4: every link by itself', () => {
  test('one that hangs delays no other', async () => {
    attacher.hanging.add(`consumer${link().target}`);
    await graph(link(), link({ target: '/run/other' }));
    expect(planted({ target: '/run/other' })).toBeDefined();
  });

  test('one that hangs is shown as failed after 10 s, and used when it ends after all', async () => {
    attacher.hanging.add(`consumer${link().target}`);
    await graph(link());
    await vi.advanceTimersByTimeAsync(10_000);
    expect(shown.get(ID)).toEqual(['failed', 'timed-out']);
    attacher.release(`consumer${link().target}`);
    await settle();
    planted().listener.onState('established', null);
    expect(shown.get(ID)).toEqual(['established', null]);
  });

  test('one that hung and is not wanted any more is undone when it ends', async () => {
    attacher.hanging.add(`consumer${link().target}`);
    await graph(link());
    await graph();
    attacher.release(`consumer${link().target}`);
    await settle();
    expect(attacher.planted.size).toBe(0);
    expect(gone).toEqual([ID]);
  });

  test('one that fails is tried again after 100 ms, doubling to 30 s', async () => {
    attacher.failures.set(`consumer${link().target}`, { code: 'target-occupied', message: 'No.' });
    await graph(link());
    expect(shown.get(ID)).toEqual(['failed', 'target-occupied']);
    const waits: number[] = [];
    for (let ms = 0, before = 1; waits.length < 12; ms += 100) {
      await vi.advanceTimersByTimeAsync(100);
      if (attacher.attempts.length > before) {
        waits.push(ms + 100 - waits.reduce((sum, wait) => sum + wait, 0));
        before = attacher.attempts.length;
      }
    }
    expect(waits.slice(0, 5)).toEqual([100, 200, 400, 800, 1600]);
    expect(waits.slice(-3)).toEqual([30_000, 30_000, 30_000]);
  });

  test('a graph that changed resets the back-off, one that did not does not', async () => {
    attacher.failures.set(`consumer${link().target}`, { code: 'target-occupied', message: 'No.' });
    await graph(link());
    await vi.advanceTimersByTimeAsync(100 + 200 + 400);
    const before = attacher.attempts.length;
    await graph(link());
    expect(attacher.attempts.length).toBe(before);
    attacher.failures.clear();
    await graph(link(), link({ target: '/run/other' }));
    expect(planted()).toBeDefined();
  });

  test('a process that is gone does not make a storm of questions', async () => {
    mesh.on('stale', () => mesh.reconcile({ links: [link()], stamp: ++stamp }));
    attacher.generations.delete(C);
    await graph(link());
    await vi.advanceTimersByTimeAsync(3_000);
    expect(stale).toBeLessThan(10);
    expect(stale).toBeGreaterThan(2);
  });
});

describe('rule 5: graphs that come while another is being made real', () => {
  test('the newest counts', async () => {
    attacher.hanging.add(`consumer${link().target}`);
    await graph(link());
    await graph(link({ socket: '/second' }));
    await graph(link({ socket: '/third' }));
    attacher.release(`consumer${link().target}`);
    await settle();
    expect(planted().link.socket).toBe('/third');
    expect(attacher.attempts.map(({ socket }) => socket)).not.toContain('/second');
  });
});

describe('rule 7: cost', () => {
  test('a graph that changes nothing asks the attacher for nothing', async () => {
    const links = Array.from({ length: 1_000 }, (_, i) => link({ target: `/run/${i}` }));
    await graph(...links);
    const { calls } = attacher;
    expect(calls).toBe(1_000);
    await graph(...structuredClone(links));
    expect(attacher.calls).toBe(calls);
  });

  test('1,000 new links are all attached without waiting for one another', async () => {
    await graph(...Array.from({ length: 1_000 }, (_, i) => link({ target: `/run/${i}` })));
    expect(attacher.planted.size).toBe(1_000);
  });
});

describe('the mesh', () => {
  test('counts over all attachments of a link', async () => {
    await graph(link());
    await graph(link({ socket: '/other' }));
    expect(mesh.stats(ID)).toMatchObject({ total: 2, toProvider: 20, toConsumer: 40 });
  });

  test('takes everything out when it closes', async () => {
    attacher.busy = true;
    await graph(link(), link({ target: '/run/other' }));
    const closed = mesh.close();
    await vi.advanceTimersByTimeAsync(DRAIN_MS);
    await closed;
    expect(attacher.planted.size).toBe(0);
    expect(mesh.size).toBe(0);
  });

  test('shows a changed field with the state that stands', async () => {
    await graph(link());
    planted().listener.onState('established', null);
    const seen: Link[] = [];
    mesh.on('state', (_id, fields) => seen.push(fields));
    await graph(link({ providerPid: 201 }));
    expect(seen.at(-1)?.providerPid).toBe(201);
  });

  test('does not believe an attachment that it has given up', async () => {
    await graph(link());
    const old = planted();
    await graph(link({ socket: '/other' }));
    planted().listener.onState('established', null);
    old.listener.onState('failed', { code: 'internal', message: 'Old.' });
    old.listener.onLost({ code: 'internal', message: 'Old.' });
    await settle();
    expect(shown.get(ID)).toEqual(['established', null]);
  });
});
