/** Reconciling: what a graph makes of a link. */
import { describe, expect, test, vi } from 'vitest';
import { C, DRAIN_MS, ID, link, settle, useMesh } from './mesh-fixture.js';

const of = useMesh();

describe('a mesh that is frozen', () => {
  test('takes no step, whatever the graphs say, and all of them afterwards', async () => {
    await of.at.graph(link());
    const standing = of.at.planted();
    await of.at.mesh.freeze();
    await of.at.graph(link({ name: 'other', target: '/other' }));
    standing.listener.onLost({ code: 'container-gone', message: 'It has ended.' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(standing.detached).toEqual([]);
    expect(of.at.attacher.planted.size).toBe(1);
    of.at.mesh.thaw();
    await settle();
    expect(standing.detached).toEqual([0]);
    expect(of.at.planted({ target: '/other' }).detached).toEqual([]);
    expect(of.at.attacher.planted.size).toBe(1);
  });

  test('waits for the step that is under way', async () => {
    of.at.attacher.hanging.add(`${link().consumer}${link().target}`);
    await of.at.graph(link());
    let frozen = false;
    void of.at.mesh.freeze().then(() => {
      frozen = true;
    });
    await settle();
    expect(frozen).toBe(false);
  });

  test('can be closed, with what left it meanwhile', async () => {
    await of.at.graph(link(), link({ name: 'other', target: '/other' }));
    await of.at.mesh.freeze();
    await of.at.graph(link());
    await of.at.mesh.close(0);
    expect(of.at.attacher.planted.size).toBe(0);
  });
});

describe('rule 1: links that come and go', () => {
  test('a new link is attached', async () => {
    await of.at.graph(link());
    expect(of.at.planted().link).toEqual(link());
  });

  test('a link that left is detached with the drain time and then gone', async () => {
    await of.at.graph(link());
    const left = of.at.planted();
    await of.at.graph();
    expect(left.detached).toEqual([DRAIN_MS]);
    expect(of.at.attacher.planted.size).toBe(0);
    expect(of.at.gone).toEqual([ID]);
    expect(of.at.mesh.size).toBe(0);
  });

  test('a link that left is draining until its last connection ended', async () => {
    of.at.attacher.busy = true;
    await of.at.graph(link());
    const left = of.at.planted();
    await of.at.graph();
    expect(of.at.shown.get(ID)).toEqual(['draining', null]);
    expect(of.at.gone).toEqual([]);
    left.finish();
    await settle();
    expect(of.at.gone).toEqual([ID]);
  });

  test('a link that comes back while it drains is attached anew at once', async () => {
    of.at.attacher.busy = true;
    await of.at.graph(link());
    await of.at.graph();
    await of.at.graph(link());
    expect(of.at.planted().detached).toEqual([]);
    of.at.planted().listener.onState('established', null);
    await vi.advanceTimersByTimeAsync(DRAIN_MS);
    expect(of.at.shown.get(ID)).toEqual(['established', null]);
    expect(of.at.gone).toEqual([]);
  });

  test('a link whose role was revoked has no drain time', async () => {
    await of.at.graph(link({ role: 'operator' }));
    const revoked = of.at.planted();
    await of.at.graph(link({ role: 'monitor' }));
    expect(revoked.detached).toEqual([0]);
    await of.at.graph(link({ error: { code: 'not-allowed', message: 'No.' } }));
    expect(of.at.attacher.planted.size).toBe(0);
    expect(of.at.shown.get(ID)).toEqual(['failed', 'not-allowed']);
  });

  test('nor has one whose clients may come from other networks', async () => {
    await of.at.graph(link({ type: 'tcp', allowFrom: ['10.0.0.0/8'] }));
    const revoked = of.at.planted();
    await of.at.graph(link({ type: 'tcp', allowFrom: ['10.1.0.0/16'] }));
    expect(revoked.detached).toEqual([0]);
  });

  test('a link that the builder knows to be wrong is shown, and never attached', async () => {
    await of.at.graph(link({ error: { code: 'not-allowed', message: 'No.' } }));
    expect(of.at.shown.get(ID)).toEqual(['failed', 'not-allowed']);
    expect(of.at.attacher.calls).toBe(0);
  });

  test('a consumer that is not running has nothing attached, and is waited for', async () => {
    await of.at.graph(link({ consumerPid: 0 }));
    expect(of.at.shown.get(ID)).toEqual(['waiting', 'consumer-not-running']);
    expect(of.at.attacher.calls).toBe(0);
    await of.at.graph(link());
    expect(of.at.planted().link.consumerPid).toBe(C);
  });

  test('of two links with one identity in a graph the first counts', async () => {
    await of.at.graph(link(), link({ socket: '/other' }));
    expect(of.at.planted().link.socket).toBe(link().socket);
    expect(of.at.attacher.attempts.length).toBe(1);
  });
});

describe('rule 2: restarts', () => {
  test('a consumer with another pid has its link attached anew', async () => {
    await of.at.graph(link());
    of.at.attacher.generations.set(101, 3);
    of.at.attacher.die(C);
    await of.at.graph(link({ consumerPid: 101 }));
    expect(of.at.planted().consumerGeneration).toBe(3);
  });

  test('a consumer with the same pid and another process has its link attached anew', async () => {
    await of.at.graph(link());
    of.at.attacher.die(C, true);
    await settle();
    await vi.advanceTimersByTimeAsync(200);
    expect(of.at.planted().consumerGeneration).toBe(1001);
  });

  test('a consumer that only another mount namespace tells apart has its link attached anew', async () => {
    await of.at.graph(link());
    const before = of.at.planted();
    of.at.attacher.generations.set(C, 77);
    await of.at.graph(link());
    expect(before.detached.length).toBe(1);
    expect(of.at.planted().consumerGeneration).toBe(77);
  });

  test('a consumer that died is waited for, and a fresh graph is asked for', async () => {
    await of.at.graph(link());
    of.at.attacher.die(C);
    await settle();
    expect(of.at.shown.get(ID)).toEqual(['waiting', 'container-gone']);
    expect(of.at.stale).toBeGreaterThan(0);
  });

  test('a provider with another pid needs no new socket', async () => {
    await of.at.graph(link());
    const before = of.at.planted();
    await of.at.graph(link({ providerPid: 201 }));
    expect(of.at.planted()).toBe(before);
    expect(before.retargeted.map(({ providerPid }) => providerPid)).toEqual([201]);
    expect(of.at.attacher.attempts.length).toBe(1);
  });

  test('names that are started on demand need no new socket', async () => {
    await of.at.graph(link({ activates: [] }));
    const before = of.at.planted();
    await of.at.graph(link({ activates: ['org.example.Foo'] }));
    await of.at.graph(link({ activates: ['org.example.Foo'] }));
    expect(of.at.planted()).toBe(before);
    expect(before.retargeted.map(({ activates }) => activates)).toEqual([['org.example.Foo']]);
  });

  test('a provider that came back with the same pid is looked up by the next graph', async () => {
    await of.at.graph(link());
    of.at
      .planted()
      .listener.onState('waiting', { code: 'provider-not-running', message: 'It ended.' });
    await of.at.graph(link());
    expect(of.at.planted().retargeted.length).toBe(1);
    of.at.planted().listener.onState('established', null);
    await of.at.graph(link());
    expect(of.at.planted().retargeted.length).toBe(1);
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
    { extra: { theirs: 1 } },
  ])('re-attaches that link alone: %o', async (change) => {
    const neighbour = link({ target: '/run/neighbour' });
    await of.at.graph(link(), neighbour);
    const [before, beside] = [of.at.planted(), of.at.planted({ target: '/run/neighbour' })];
    await of.at.graph(link(change), neighbour);
    expect(before.detached.length).toBe(1);
    expect(of.at.planted().link).toMatchObject(change);
    expect(of.at.planted({ target: '/run/neighbour' })).toBe(beside);
    expect(beside.retargeted).toEqual([]);
  });

  test('the new attachment does not wait for the drain of the old one', async () => {
    of.at.attacher.busy = true;
    await of.at.graph(link());
    await of.at.graph(link({ socket: '/other' }));
    expect(of.at.planted().link.socket).toBe('/other');
  });

  test('the link is never shown as established with a field that it does not have yet', async () => {
    await of.at.graph(link());
    of.at.planted().listener.onState('established', null);
    const told: [string, string][] = [];
    of.at.mesh.on('state', (_id, { role }, state) => told.push([role, state]));
    await of.at.graph(link({ role: 'x' }));
    of.at.planted().listener.onState('established', null);
    expect(told).toEqual([
      ['x', 'waiting'],
      ['x', 'established'],
    ]);
  });

  test('a default that is said is no change', async () => {
    await of.at.graph(link());
    const { calls } = of.at.attacher;
    await of.at.graph(link({ mode: 'stream', fds: true }));
    expect(of.at.attacher.calls).toBe(calls);
  });
});
