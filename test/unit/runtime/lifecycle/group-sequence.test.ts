import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  groupStatus,
  type Member,
  type SequencedGroup,
  startGroups,
} from '../../../../src/runtime/lifecycle/group-sequence.js';
import type { ContainerStatus } from '../../../../src/runtime/lifecycle/lifecycle.js';

let said: string[];
let ended: AbortController;

beforeEach(() => {
  vi.useFakeTimers();
  said = [];
  ended = new AbortController();
});
afterEach(() => vi.useRealTimers());

class ModelMember implements Member {
  readonly goal = 'READY';
  isPassive: boolean;
  status: ContainerStatus = 'INSTALLED';
  #listeners = new Set<() => void>();

  constructor(
    readonly name: string,
    isPassive = false,
  ) {
    this.isPassive = isPassive;
  }

  get hasReachedGoal(): boolean {
    return this.status === 'READY';
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  block(): void {
    if (this.status === 'INSTALLED') this.status = 'BLOCKED';
  }

  async begin(): Promise<void> {
    this.is('STARTING');
  }

  is(status: ContainerStatus): void {
    this.status = status;
    for (const listener of [...this.#listeners]) listener();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

const group = (name: string, timeout: number, ...members: Member[]): SequencedGroup => ({
  name,
  timeout,
  members,
});
const start = (...groups: SequencedGroup[]) =>
  startGroups(groups, ended.signal, (line) => said.push(line));

describe('the sequence of groups', () => {
  test('does not wait for a member that its user has stopped meanwhile', async () => {
    const [a, b, c] = [new ModelMember('a'), new ModelMember('b'), new ModelMember('c')];
    const late = start(group('first', 30, a, b), group('second', 30, c));
    a.is('READY');
    b.isPassive = true;
    b.is('STOPPED');
    await vi.advanceTimersByTimeAsync(0);
    expect(c.status).toBe('STARTING');
    c.is('READY');
    expect(await late).toEqual([]);
    expect(said).toEqual([]);
  });

  test('begins a group when all before it have reached their goals', async () => {
    const [a, b, c] = [new ModelMember('a'), new ModelMember('b'), new ModelMember('c')];
    const started = start(group('data', 30), group('root', 30, a, b), group('app', 30, c));
    await vi.advanceTimersByTimeAsync(0);
    expect([a.status, b.status, c.status]).toEqual(['STARTING', 'STARTING', 'BLOCKED']);
    a.is('READY');
    await vi.advanceTimersByTimeAsync(10);
    expect(c.status).toBe('BLOCKED');
    b.is('READY');
    await vi.advanceTimersByTimeAsync(0);
    expect(c.status).toBe('STARTING');
    c.is('READY');
    expect(await started).toEqual([]);
    expect([said, a.listeners, vi.getTimerCount()]).toEqual([[], 0, 0]);
  });

  test('says for whom a group waits, and goes on when its time is over', async () => {
    const [a, b] = [new ModelMember('a'), new ModelMember('b')];
    const root = group('root', 30, a);
    const started = start(root, group('app', 30, b));
    await vi.advanceTimersByTimeAsync(29_999);
    expect(said).toEqual(['The group root waits for a (STARTING, goal READY), for at most 30 s.']);
    expect(b.status).toBe('BLOCKED');
    await vi.advanceTimersByTimeAsync(1);
    expect(said[1]).toBe('The group root was not in time (30 s): a (STARTING, goal READY).');
    b.is('READY');
    expect(await started).toEqual([root]);
  });

  test('neither starts nor waits for what waits to be called', async () => {
    const passive = new ModelMember('passive', true);
    expect(await start(group('app', 30, passive))).toEqual([]);
    expect(passive.status).toBe('INSTALLED');
  });

  test('ends when all of it does', async () => {
    const [a, b] = [new ModelMember('a'), new ModelMember('b')];
    const started = start(group('root', 1e9, a), group('app', 30, b));
    await vi.advanceTimersByTimeAsync(10);
    ended.abort();
    expect(await started).toBeNull();
    expect([b.status, a.listeners, vi.getTimerCount()]).toEqual(['BLOCKED', 0, 0]);
  });
});

test('the status of a group is READY, or the lowest of those that are not where they are wanted', () => {
  const [a, b, passive] = [new ModelMember('a'), new ModelMember('b'), new ModelMember('p', true)];
  expect(groupStatus([])).toBe('READY');
  a.status = 'READY';
  b.status = 'RECOVERING';
  expect(groupStatus([a, b, passive])).toBe('RECOVERING');
  a.status = 'STARTING';
  expect(groupStatus([a, b])).toBe('STARTING');
  [a.status, b.status] = ['READY', 'READY'];
  expect(groupStatus([a, b, passive])).toBe('READY');
});
