/** What browsers are sent, and when; and when the daemon is asked. */
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Got } from '../../../src/cli/control-client.js';
import type { OnEvent } from '../../../src/web/answers.js';
import { Feed } from '../../../src/web/feed.js';
import { Picture } from '../../../src/web/picture.js';
import { Watcher } from '../../../src/web/watcher.js';
import { live } from './live.js';

/** Those that are used here: another file of the same process may still be about to end something with others. */
const CLOCK = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] as const;

beforeEach(() => void vi.useFakeTimers({ toFake: [...CLOCK] }));
afterEach(() => void vi.useRealTimers());

/** A browser that reads what it is sent, or not. */
class Browser extends EventEmitter {
  readonly sent: string[] = [];
  reads = true;

  writeHead(): this {
    return this;
  }

  write(text: string): boolean {
    this.sent.push(text);
    return this.reads;
  }

  destroy(): void {
    this.emit('close');
  }

  response(): ServerResponse {
    return this as unknown as ServerResponse;
  }

  /** The names of the events that it was sent. */
  get events(): string[] {
    return this.sent.map((text) => /^event: (\w+)/.exec(text)?.[1] ?? 'comment');
  }
}

describe('the feed', () => {
  const start = () => {
    const picture = new Picture();
    const counts: number[] = [];
    const feed = new Feed(picture, (count) => counts.push(count), { maxBrowsers: 2 });
    const browser = new Browser();
    feed.add(browser.response());
    let states = 0;
    /** The link changes, so many times. */
    const change = (times: number) => {
      for (let time = 0; time < times; time++) {
        picture.replace([live({ state: `state-${states++}` })], states);
        feed.changed();
      }
    };
    return { picture, feed, browser, change, counts };
  };

  test('sends everything first, then what changed within a beat at once', () => {
    const { browser, change } = start();
    change(1_000);
    vi.advanceTimersByTime(200);
    change(1_000);
    vi.advanceTimersByTime(200);
    vi.advanceTimersByTime(1_000);
    expect(browser.events).toEqual(['picture', 'change', 'change']);
    expect(browser.sent.at(-1)).toContain('"state-1999"');
    expect(browser.sent.at(-1)).not.toContain('"state-1998"');
  });

  test('sends nothing more to who has not read, and one difference when that one has', () => {
    const { browser, change } = start();
    browser.reads = false;
    change(1);
    vi.advanceTimersByTime(200);
    for (let round = 0; round < 100; round++) {
      change(10);
      vi.advanceTimersByTime(10_000);
    }
    expect(browser.events).toEqual(['picture', 'change']);
    browser.reads = true;
    browser.emit('drain');
    vi.advanceTimersByTime(200);
    expect(browser.events).toEqual(['picture', 'change', 'change']);
    expect(browser.sent.at(-1)).toContain('"state-1000"');
  });

  test('is for so many, and ends its timers with the last one', () => {
    const { feed, browser, counts } = start();
    const other = new Browser();
    feed.add(other.response());
    expect(feed.isFull).toBe(true);
    other.destroy();
    expect(feed.isFull).toBe(false);
    browser.destroy();
    expect(counts).toEqual([1, 2, 1, 0]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('finds out who has left by a comment every now and then', () => {
    const { browser } = start();
    vi.advanceTimersByTime(10_000);
    expect(browser.events).toEqual(['picture', 'comment']);
  });
});

/** A daemon that is there or not, and counts what it is asked. */
class ModelDaemon {
  here = true;
  links = [live()];
  looks = 0;
  onEvent: OnEvent = () => {};
  onEnd: () => void = () => {};
  following = false;

  async get(): Promise<Got<unknown>> {
    this.looks++;
    return this.here ? { ok: true, value: this.links } : { ok: false, error: 'It is away.' };
  }

  async follow(onEvent: OnEvent, onEnd: () => void): Promise<Got<() => void>> {
    if (!this.here) return { ok: false, error: 'It is away.' };
    Object.assign(this, { onEvent, onEnd, following: true });
    return {
      ok: true,
      value: () => {
        this.following = false;
      },
    };
  }
}

describe('the watcher', () => {
  const start = () => {
    const picture = new Picture();
    const daemon = new ModelDaemon();
    return { picture, daemon, watcher: new Watcher(picture, daemon, () => {}) };
  };

  test('asks the daemon nothing while nobody looks', async () => {
    const { daemon, watcher } = start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(daemon.looks).toBe(0);
    watcher.look();
    await vi.advanceTimersByTimeAsync(5_500);
    expect(daemon.looks).toBe(6);
    watcher.rest();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([daemon.looks, daemon.following]).toEqual([36, false]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('goes on where somebody looks again soon', async () => {
    const { daemon, watcher } = start();
    watcher.look();
    watcher.rest();
    await vi.advanceTimersByTimeAsync(20_000);
    watcher.look();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(daemon.following).toBe(true);
  });

  test('says that the daemon is away, and finds it again', async () => {
    const { picture, daemon, watcher } = start();
    daemon.here = false;
    watcher.look();
    await vi.advanceTimersByTimeAsync(10);
    expect(picture.since(0)?.daemon?.problem).toBe('It is away.');
    daemon.here = true;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(picture.since(0)).toMatchObject({ daemon: { problem: null }, links: [{ name: 'raw' }] });
    daemon.here = false;
    daemon.onEnd();
    daemon.onEnd(); // told twice, it is lost once
    expect(picture.since(0)?.daemon?.problem).toBe('The daemon has ended the connection.');
    expect(picture.since(0)?.links).toHaveLength(1);
    daemon.here = true;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(picture.since(0)?.daemon?.problem).toBeNull();
    watcher.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('looks at the graph at once for a link that it does not know, not once for each', async () => {
    const { daemon, watcher } = start();
    watcher.look();
    await vi.advanceTimersByTimeAsync(10);
    expect(daemon.looks).toBe(1);
    for (let index = 0; index < 100; index++) {
      daemon.onEvent('state', { ...live({ name: `new-${index}` }) });
    }
    await vi.advanceTimersByTimeAsync(300);
    expect(daemon.looks).toBe(3);
    watcher.close();
  });
});
