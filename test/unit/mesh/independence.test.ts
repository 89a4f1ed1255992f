/** Reconciling: no link and no graph disturbs another. */
import { describe, expect, test, vi } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import { C, DRAIN_MS, ID, link, settle, useMesh } from './mesh-fixture.js';

const of = useMesh();

const OCCUPIED = { code: 'target-occupied', message: 'No.' } as const;

describe('rule 4: every link by itself', () => {
  test('one that hangs delays no other', async () => {
    of.at.attacher.hanging.add(`consumer${link().target}`);
    await of.at.graph(link(), link({ target: '/run/other' }));
    expect(of.at.planted({ target: '/run/other' })).toBeDefined();
  });

  test('one that hangs is shown as failed after 10 s, and used when it ends after all', async () => {
    of.at.attacher.hanging.add(`consumer${link().target}`);
    await of.at.graph(link());
    await vi.advanceTimersByTimeAsync(10_000);
    expect(of.at.shown.get(ID)).toEqual(['failed', 'timed-out']);
    of.at.attacher.release(`consumer${link().target}`);
    await settle();
    of.at.planted().listener.onState('established', null);
    expect(of.at.shown.get(ID)).toEqual(['established', null]);
  });

  test('one that hung and is not wanted any more is undone when it ends', async () => {
    of.at.attacher.hanging.add(`consumer${link().target}`);
    await of.at.graph(link());
    await of.at.graph();
    of.at.attacher.release(`consumer${link().target}`);
    await settle();
    expect(of.at.attacher.planted.size).toBe(0);
    expect(of.at.gone).toEqual([ID]);
  });

  test('one that fails is tried again after 100 ms, doubling to 30 s', async () => {
    of.at.attacher.failures.set(`consumer${link().target}`, OCCUPIED);
    await of.at.graph(link());
    expect(of.at.shown.get(ID)).toEqual(['failed', 'target-occupied']);
    const waits: number[] = [];
    for (let ms = 0, before = 1; waits.length < 12; ms += 100) {
      await vi.advanceTimersByTimeAsync(100);
      if (of.at.attacher.attempts.length > before) {
        waits.push(ms + 100 - waits.reduce((sum, wait) => sum + wait, 0));
        before = of.at.attacher.attempts.length;
      }
    }
    expect(waits.slice(0, 5)).toEqual([100, 200, 400, 800, 1600]);
    expect(waits.slice(-3)).toEqual([30_000, 30_000, 30_000]);
  });

  test('a graph that changed resets the back-off, one that did not does not', async () => {
    of.at.attacher.failures.set(`consumer${link().target}`, OCCUPIED);
    await of.at.graph(link());
    await vi.advanceTimersByTimeAsync(100 + 200 + 400);
    const before = of.at.attacher.attempts.length;
    await of.at.graph(link());
    expect(of.at.attacher.attempts.length).toBe(before);
    of.at.attacher.failures.clear();
    await of.at.graph(link(), link({ target: '/run/other' }));
    expect(of.at.planted()).toBeDefined();
  });

  test('a process that is gone does not make a storm of questions', async () => {
    of.at.mesh.on('stale', () => of.at.mesh.reconcile({ links: [link()], stamp: ++of.at.stamp }));
    of.at.attacher.generations.delete(C);
    await of.at.graph(link());
    await vi.advanceTimersByTimeAsync(3_000);
    expect(of.at.stale).toBeLessThan(10);
    expect(of.at.stale).toBeGreaterThan(2);
  });
});

describe('rule 5: graphs that come while another is being made real', () => {
  test('the newest counts', async () => {
    of.at.attacher.hanging.add(`consumer${link().target}`);
    await of.at.graph(link());
    await of.at.graph(link({ socket: '/second' }));
    await of.at.graph(link({ socket: '/third' }));
    of.at.attacher.release(`consumer${link().target}`);
    await settle();
    expect(of.at.planted().link.socket).toBe('/third');
    expect(of.at.attacher.attempts.map(({ socket }) => socket)).not.toContain('/second');
  });
});

describe('rule 7: cost', () => {
  test('a graph that changes nothing asks the attacher for nothing', async () => {
    const links = Array.from({ length: 1_000 }, (_, i) => link({ target: `/run/${i}` }));
    await of.at.graph(...links);
    const { calls } = of.at.attacher;
    expect(calls).toBe(1_000);
    await of.at.graph(...structuredClone(links));
    expect(of.at.attacher.calls).toBe(calls);
  });

  test('1,000 new links are all attached without waiting for one another', async () => {
    await of.at.graph(...Array.from({ length: 1_000 }, (_, i) => link({ target: `/run/${i}` })));
    expect(of.at.attacher.planted.size).toBe(1_000);
  });
});

describe('the mesh', () => {
  test('counts over all attachments of a link', async () => {
    await of.at.graph(link());
    await of.at.graph(link({ socket: '/other' }));
    expect(of.at.mesh.stats(ID)).toMatchObject({ total: 2, toProvider: 20, toConsumer: 40 });
  });

  test('takes everything out when it closes', async () => {
    of.at.attacher.busy = true;
    await of.at.graph(link(), link({ target: '/run/other' }));
    const closed = of.at.mesh.close();
    await vi.advanceTimersByTimeAsync(DRAIN_MS);
    await closed;
    expect(of.at.attacher.planted.size).toBe(0);
    expect(of.at.mesh.size).toBe(0);
  });

  test('shows a changed field with the state that stands', async () => {
    await of.at.graph(link());
    of.at.planted().listener.onState('established', null);
    const seen: Link[] = [];
    of.at.mesh.on('state', (_id, fields) => seen.push(fields));
    await of.at.graph(link({ providerPid: 201 }));
    expect(seen.at(-1)?.providerPid).toBe(201);
  });

  test('does not believe an attachment that it has given up', async () => {
    await of.at.graph(link());
    const old = of.at.planted();
    await of.at.graph(link({ socket: '/other' }));
    of.at.planted().listener.onState('established', null);
    old.listener.onState('failed', { code: 'internal', message: 'Old.' });
    old.listener.onLost({ code: 'internal', message: 'Old.' });
    await settle();
    expect(of.at.shown.get(ID)).toEqual(['established', null]);
  });
});
