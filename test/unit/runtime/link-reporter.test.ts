import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LinkReporter } from '../../../src/runtime/link-reporter.js';

const RAW = { consumer: 'client', name: 'raw', provider: 'server', target: '/run/raw.sock' };

let links: Record<string, unknown>[];
let said: string[];
let reporter: LinkReporter;

beforeEach(() => {
  vi.useFakeTimers();
  [links, said] = [[], []];
  reporter = new LinkReporter(
    () => links,
    (line) => said.push(line),
    1_000,
  );
});
afterEach(() => {
  reporter.close();
  vi.useRealTimers();
});

test('a link is told of once it has settled, and not again before it is another', () => {
  links = [{ ...RAW, state: 'waiting', last_error: null }];
  reporter.soon();
  vi.advanceTimersByTime(999);
  links = [{ ...RAW, state: 'established', last_error: null }];
  reporter.soon();
  vi.advanceTimersByTime(999);
  expect(said).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(said).toEqual(['link client → raw of server at /run/raw.sock: established']);
  reporter.soon();
  vi.advanceTimersByTime(1_000);
  expect(said).toHaveLength(1);
  const error = { code: 'target-lost', message: 'It is gone.\u001b[2J' };
  links = [{ ...RAW, state: 'failed', last_error: error }];
  reporter.soon();
  vi.advanceTimersByTime(1_000);
  expect(said[1]).toBe(
    'link client → raw of server at /run/raw.sock: failed (It is gone.\\u001b[2J)',
  );
  links = [];
  reporter.soon();
  vi.advanceTimersByTime(1_000);
  expect(said[2]).toBe('link client → raw of server at /run/raw.sock: gone');
});

test('one that waits is told of when it is known for what', () => {
  links = [{ ...RAW, provider: '', state: 'waiting', last_error: null }];
  reporter.soon();
  vi.advanceTimersByTime(1_000);
  expect(said).toEqual([]);
  links = [{ ...RAW, provider: '', state: 'waiting', last_error: { message: 'Nobody listens.' } }];
  reporter.soon();
  vi.advanceTimersByTime(1_000);
  expect(said).toEqual(['link client → raw at /run/raw.sock: waiting (Nobody listens.)']);
});
