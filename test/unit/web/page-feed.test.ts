/** The feed in the browser: it is opened again when it was lost, and what is late says nothing any more. */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Model } from '../../../src/web/page/model.js';

/** By a name that the compiler does not follow: the page has types of a browser, and tests have those of Node.js. */
const FEED = '../../../src/web/page/feed.js';
const { openFeed } = (await import(FEED)) as { readonly openFeed: (model: Model) => void };

const NOTHING = { links: [], counters: [], gone: [], occurrences: [], daemon: null };

class FakeSource extends EventTarget {
  static readonly all: FakeSource[] = [];
  isClosed = false;

  constructor() {
    super();
    FakeSource.all.push(this);
  }

  close(): void {
    this.isClosed = true;
  }

  picture(): void {
    this.dispatchEvent(new MessageEvent('picture', { data: JSON.stringify(NOTHING) }));
  }
}

/** Answers to the request that asks for the reason, in their order. */
let answers: ((status: number) => void)[] = [];
let page: EventTarget & { hidden: boolean };

beforeEach(() => {
  FakeSource.all.length = 0;
  answers = [];
  page = Object.assign(new EventTarget(), { hidden: false });
  const { setTimeout, clearTimeout } = globalThis;
  vi.stubGlobal('window', Object.assign(new EventTarget(), { setTimeout, clearTimeout }));
  vi.stubGlobal('document', page);
  vi.stubGlobal('EventSource', FakeSource);
  vi.stubGlobal(
    'fetch',
    () => new Promise((resolve) => answers.push((status) => resolve({ status }))),
  );
  return () => vi.unstubAllGlobals();
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
const open = () => FakeSource.all.filter(({ isClosed }) => !isClosed);

describe('the feed of the page', () => {
  test('says why it was lost, and is opened again', async () => {
    const model = new Model((tell) => tell());
    openFeed(model);
    FakeSource.all[0]?.picture();
    expect(model.connection).toBe('open');
    FakeSource.all[0]?.dispatchEvent(new Event('error'));
    answers[0]?.(503);
    await turn();
    expect([model.connection, open()]).toEqual(['full', []]);
    page.dispatchEvent(new Event('visibilitychange'));
    expect(open()).toHaveLength(1);
  });

  test('that was opened again while the reason was asked for stays as it is', async () => {
    const model = new Model((tell) => tell());
    openFeed(model);
    FakeSource.all[0]?.dispatchEvent(new Event('error'));
    page.dispatchEvent(new Event('visibilitychange'));
    open()[0]?.picture();
    answers[0]?.(503);
    await turn();
    expect([model.connection, open()]).toEqual(['open', [FakeSource.all[1]]]);
  });
});
