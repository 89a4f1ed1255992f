/** The store and its two forms. */
import { describe, expect, it, vi } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import { parseGraph } from '../../../src/graph/wire.js';
import { graphView, statusView } from '../../../src/status/graph-view.js';
import type { LinkStatus } from '../../../src/status/store.js';
import { unixLink, wireLink } from '../../support/link.js';
import { Control, FAILURE, SHOWN } from './control.js';

describe('the store', () => {
  it('has links in the order in which they came, until they are gone', () => {
    const control = new Control();
    const names = () => [...control.store.all()].map(({ link }) => link.name);
    const ids = ['b', 'a', 'c'].map((name) => control.put({ name }));
    control.put({ name: 'b' }, FAILURE);
    expect(names()).toEqual(['b', 'a', 'c']);
    control.mesh.emit('gone', ids[1] ?? '');
    expect(names()).toEqual(['b', 'c']);
    expect(control.store.size).toBe(2);
  });

  it('dates a state, not its reason and not the fields of the link', () => {
    vi.useFakeTimers({ now: Date.parse('2026-11-23T10:00:00Z') });
    try {
      const control = new Control();
      const since = () => [...control.store.all()][0]?.since;
      const errorSince = () => [...control.store.all()][0]?.errorSince;
      control.put({}, FAILURE);
      vi.advanceTimersByTime(5_000);
      control.put({ providerPid: 7 }, { ...FAILURE, message: 'Another reason.' });
      expect(since()).toBe('2026-11-23T10:00:00.000Z');
      expect(errorSince()).toBe('2026-11-23T10:00:00.000Z');
      control.put({}, { code: 'target-lost', message: 'Another one.' });
      expect(since()).toBe('2026-11-23T10:00:00.000Z');
      expect(errorSince()).toBe('2026-11-23T10:00:05.000Z');
      control.put({ providerPid: 7 });
      expect(errorSince()).toBeNull();
      expect(since()).toBe('2026-11-23T10:00:05.000Z');
    } finally {
      vi.useRealTimers();
    }
  });

  it('says each change once, and the last status of a link that left', () => {
    const control = new Control();
    const seen: [LinkStatus, boolean][] = [];
    control.store.on('change', (status, gone) => seen.push([status, gone]));
    const id = control.put({}, FAILURE);
    control.mesh.emit('gone', id);
    control.mesh.emit('gone', id);
    expect(seen.map(([{ state, error }, gone]) => [state, error, gone])).toEqual([
      ['failed', FAILURE, false],
      ['failed', FAILURE, true],
    ]);
  });
});

describe('the wire form', () => {
  const link: Link = unixLink({ consumerPid: 1, providerPid: 2, uid: 5, extra: { theirs: [1] } });

  it('has the ten fixed fields, ours and what was kept for others', () => {
    const control = new Control();
    const id = control.put(link, FAILURE);
    control.count(id, { active: 1, total: 42, toProvider: 1024, toConsumer: 2048 });
    expect(graphView(control.store, (one) => control.stats.get(one) ?? null)).toEqual([
      {
        ...wireLink({ consumer_pid: 1, provider_pid: 2, uid: 5, theirs: [1] }),
        state: 'failed',
        last_error: SHOWN,
        since: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        connections: { active: 1, total: 42 },
        bytes: { to_provider: 1024, to_consumer: 2048 },
      },
    ]);
  });

  it('is read back as the same graph', () => {
    const control = new Control();
    control.put(link);
    const view = graphView(control.store, () => null);
    expect(view[0]).toMatchObject({ last_error: null, connections: { active: 0, total: 0 } });
    expect(parseGraph(JSON.parse(JSON.stringify(view)))).toEqual({
      links: [link],
      errors: [],
      notices: [],
    });
  });

  it('can not be misled by a field that the runtime named like one of ours', () => {
    const control = new Control();
    control.put(unixLink({ extra: { state: 'established' } }), FAILURE);
    expect(graphView(control.store, () => null)[0]).toMatchObject({ state: 'failed' });
  });

  it('is short for the runtime', () => {
    const control = new Control();
    control.put({ name: 'a' });
    control.put({ name: 'b' }, FAILURE);
    const target = '/run/pv/services/raw.sock';
    expect(statusView(control.store)).toEqual([
      { consumer: 'consumer', name: 'a', target, established: true, last_error: null },
      { consumer: 'consumer', name: 'b', target, established: false, last_error: SHOWN },
    ]);
  });
});
