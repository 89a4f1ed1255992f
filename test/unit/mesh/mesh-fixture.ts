/** A mesh over a model of everything below it, on fake time. */
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { type Link, linkId } from '../../../src/graph/link.js';
import { Mesh } from '../../../src/mesh/mesh.js';
import { unixLink } from '../../support/link.js';
import { ModelAttacher, type ModelLink } from './model-attacher.js';

export const DRAIN_MS = 5_000;
/** Pids of consumer and provider. */
export const C = 100;
export const P = 200;

export const link = (fields: Partial<Link> = {}) =>
  unixLink({ consumerPid: C, providerPid: P, ...fields });
export const ID = linkId(link());

/** Everything that needs no time. */
export const settle = () => vi.advanceTimersByTimeAsync(0);

class MeshFixture {
  attacher = new ModelAttacher();
  mesh = new Mesh(this.attacher, { drainMs: DRAIN_MS });
  stamp = 0;
  readonly shown = new Map<string, [string, string | null]>();
  readonly gone: string[] = [];
  stale = 0;

  constructor() {
    this.attacher.generations.set(C, 1).set(P, 2);
    this.mesh.on('state', (id, _link, state, error) =>
      this.shown.set(id, [state, error?.code ?? null]),
    );
    this.mesh.on('gone', (id) => this.gone.push(id));
    this.mesh.on('stale', () => this.stale++);
  }

  async graph(...links: Link[]): Promise<void> {
    this.mesh.reconcile({ links, stamp: ++this.stamp });
    await settle();
  }

  planted(fields: Partial<Link> = {}): ModelLink {
    const { consumer, target } = link(fields);
    const found = this.attacher.planted.get(`${consumer}${target}`);
    if (!found) throw new Error(`nothing is planted at ${target}`);
    return found;
  }
}

/** A new one for every test; `at` is the present one. */
export function useMesh(): { at: MeshFixture } {
  const holder = { at: new MeshFixture() };
  beforeEach(() => {
    vi.useFakeTimers();
    holder.at = new MeshFixture();
  });
  afterEach(() => {
    expect(holder.at.attacher.complaints).toEqual([]);
    vi.useRealTimers();
  });
  return holder;
}
