/**
 * In which order disk, bus and graph get the uids and rules of a revision, and what happens when one of them is slow.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BusHost, type Keeping } from '../../../src/bus/bus-host.js';
import type { HostedBus } from '../../../src/graph/link-maker.js';
import { ok } from '../../../src/kernel/result.js';
import { type Files, requires, revisionFrom, services } from '../manifest/scratch.js';

const SOCKET = '/run/bus/socket';

/** Notes what it is asked to do, and does it when the test says so. */
class ModelKeeper implements Keeping {
  readonly did: string[] = [];
  kept: Keeping['kept'] = Promise.resolve(ok(['', '']));
  onAgain: (() => void) | null = null;
  fails: Record<string, string> = {};
  gate: Promise<void> | null = null;
  configuration = '';

  readonly texts: string[] = [];
  keepUids = (text: string) => {
    this.texts.push(text);
    return this.#note('uids', text.match(/20\d{4}(?!,\n {2}"roles)/g)?.join() ?? '');
  };
  addUsers = (uids: readonly number[]) => this.#note('users', uids.join());
  configure = (text: string) => {
    this.configuration = text;
    return this.#note('configuration', text.match(/own="[^*"]+"/g)?.join() ?? '');
  };

  async #note(what: string, text: string): Promise<string | null> {
    await this.gate;
    this.did.push(`${what} ${text}`);
    return this.fails[what] ?? null;
  }
}

function revision(...roles: string[]): ReturnType<typeof revisionFrom> {
  const files: Files = {
    'a/services.json': services({ type: 'dbus', owns: 'org.example.A', role: 'owner', allow: [] }),
  };
  const all = Object.fromEntries(
    roles.map((role) => [`${role}/run.json`, requires({ name: 'system-bus', role })]),
  );
  return revisionFrom({ ...files, ...all });
}

let keeper: ModelKeeper;
let host: BusHost;
let log: string[];

function newHost(): BusHost {
  const note = (_: unknown, text?: string) => void log.push(text ?? '');
  return new BusHost({
    socket: SOCKET,
    uids: { first: 200_000, last: 200_003 },
    log: { info: note, warn: note, error: note },
  });
}

beforeEach(() => {
  keeper = new ModelKeeper();
  log = [];
  host = newHost();
});
afterEach(() => vi.useRealTimers());

const uidsOf = (hosted: HostedBus | undefined) => Object.fromEntries(hosted?.uids ?? []);

describe('hosting a revision', () => {
  it('has the uids on the disk before anybody knows them, and the users before the rules', async () => {
    await host.attach(keeper);
    expect(uidsOf(await host.host(revision('friend')))).toEqual({
      friend: 200_000,
      owner: 200_001,
    });
    expect(keeper.did.map((did) => did.split(' ')[0])).toEqual(['uids', 'users', 'configuration']);
  });

  it('does nothing again that is as it was', async () => {
    await host.attach(keeper);
    await host.host(revision('friend'));
    keeper.did.length = 0;
    await host.host(revision('friend'));
    expect(keeper.did).toEqual([]);
    await host.host(revision('friend', 'second'));
    expect(keeper.did.map((did) => did.split(' ')[0])).toEqual(['uids', 'users']);
  });

  it('begins with the first that has a use for it, and allows nothing for one that has none', async () => {
    await host.attach(keeper);
    expect(await host.host(revisionFrom({}))).toBeUndefined();
    expect(keeper.did).toEqual([]);
    await host.host(revision());
    expect(await host.host(revisionFrom({}))).toBeUndefined();
    expect(keeper.did.at(-1)).toBe('configuration ');
    expect(keeper.configuration).not.toContain('org.example.A');
  });

  it('leaves a role without a uid where there are no more', async () => {
    await host.attach(keeper);
    const hosted = await host.host(revision('a', 'b', 'c', 'd', 'e'));
    expect(hosted?.uids?.size).toBe(4);
  });

  it('knows nobody by a uid that is not on the disk, and tries again until it is', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await host.attach(keeper);
    await host.host(revision('friend'));
    keeper.fails = { uids: 'ENOSPC' };
    const late: (HostedBus | undefined)[] = [];
    const hosted = await host.host(revision('friend', 'second'), (one) => late.push(one));
    expect(uidsOf(hosted)).toEqual({ friend: 200_000, owner: 200_001 });
    expect(log).toEqual([expect.stringContaining("can't be kept (ENOSPC): it is tried again")]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(log).toHaveLength(2);
    keeper.fails = {};
    await vi.advanceTimersByTimeAsync(1_999);
    expect(late).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(late.map(uidsOf)).toEqual([{ friend: 200_000, owner: 200_001, second: 200_002 }]);
    expect(keeper.did.filter((did) => did.startsWith('users'))).toEqual([
      'users 200000,200001',
      'users 200002',
    ]);
  });

  it('lets nobody call as a role whose uid is not kept', async () => {
    keeper.fails = { uids: 'EROFS' };
    await host.attach(keeper);
    expect((await host.host(revision()))?.uids?.size).toBe(0);
    expect(keeper.configuration).not.toMatch(/policy user=/);
  });

  it('tries a configuration again that could not be written', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    keeper.fails = { configuration: 'ENOSPC' };
    await host.attach(keeper);
    await host.host(revision());
    keeper.fails = {};
    await vi.advanceTimersByTimeAsync(1_000);
    expect(keeper.did.filter((did) => did.startsWith('configuration'))).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(keeper.did.filter((did) => did.startsWith('configuration'))).toHaveLength(2);
  });

  it('says why there is no bus', async () => {
    await host.giveUp('dbus-daemon is not installed');
    expect(await host.host(revision())).toEqual({
      socket: SOCKET,
      error: {
        code: 'bus-off',
        message: "The hosted system bus can't run here: dbus-daemon is not installed.",
      },
    });
    expect(await host.host(revisionFrom({}))).toBeUndefined();
  });

  it('writes a damaged file anew at once, and says what was wrong', async () => {
    keeper.kept = Promise.resolve(ok(['{', '']));
    await host.attach(keeper);
    expect(keeper.did).toEqual(['uids ']);
    expect(log).toEqual([expect.stringContaining('no JSON')]);
  });

  it('writes both copies anew where they differ', async () => {
    await host.attach(keeper);
    await host.host(revision('friend'));
    const text = keeper.texts[0] as string;
    for (const kept of [['', text] as const, [text, ''] as const]) {
      const next = new ModelKeeper();
      next.kept = Promise.resolve(ok(kept));
      await newHost().attach(next);
      expect(next.texts).toEqual([text]);
    }
    const same = new ModelKeeper();
    same.kept = Promise.resolve(ok([text, text]));
    await newHost().attach(same);
    expect(same.did).toEqual([]);
  });

  it('writes a damaged file anew with the next revision, where that was not possible at once', async () => {
    keeper.kept = Promise.resolve(ok(['{', '']));
    keeper.fails = { uids: 'ENOSPC' };
    await host.attach(keeper);
    keeper.fails = {};
    expect((await host.host(revision()))?.uids?.size).toBe(1);
    expect(keeper.did.slice(0, 2)).toEqual(['uids ', 'uids 200000']);
  });
});

describe('another program in place of one that ended', () => {
  it('gets all that the earlier one had, and roles keep their uids whatever its files say', async () => {
    await host.attach(keeper);
    const before = uidsOf(await host.host(revision('friend')));
    const next = new ModelKeeper();
    await host.attach(next);
    expect(next.did).toEqual(['users 200000,200001', expect.stringContaining('org.example.A')]);
    expect(uidsOf(await host.host(revision('friend')))).toEqual(before);
  });

  it('is said nothing of in between', async () => {
    keeper.fails = { users: 'EPIPE' };
    await host.attach(keeper);
    await host.host(revision());
    expect(log).toEqual([]);
  });
});

describe('a program or a disk that takes long', () => {
  let open: () => void;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    keeper.gate = new Promise((resolve) => {
      open = resolve;
    });
  });

  it('keeps nobody waiting: what was known before counts, and later what is true then', async () => {
    keeper.gate = null;
    await host.attach(keeper);
    await host.host(revision('friend'));
    keeper.gate = new Promise((resolve) => {
      open = resolve;
    });
    const late: (HostedBus | undefined)[] = [];
    const hosting = host.host(revision('friend', 'second'), (hosted) => late.push(hosted));
    await vi.advanceTimersByTimeAsync(1_000);
    const hosted = await hosting;
    expect(uidsOf(hosted)).toEqual({ friend: 200_000, owner: 200_001 });
    expect(late).toEqual([]);
    open();
    await vi.waitFor(() => expect(late).toHaveLength(1));
    expect(uidsOf(late[0])).toEqual({ friend: 200_000, owner: 200_001, second: 200_002 });
  });

  it('has its links wait at the very beginning', async () => {
    keeper.kept = new Promise(() => undefined);
    void host.attach(keeper);
    const hosting = host.host(revision());
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await hosting).toMatchObject({ error: { code: 'bus-away' } });
  });
});
