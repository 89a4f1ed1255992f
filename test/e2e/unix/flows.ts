/** What must hold of bytes in great number, whatever the link: said once for unix links and tcp links. */
import { expect } from 'vitest';
import type { Peer } from '../../support/peer-process.js';
import { atRest, eventually } from '../../support/wait.js';
import type { UnixPair } from './support.js';

export const MiB = 1024 * 1024;

/** `provider`: a serve-flood of as many bytes. Both ends send at once, half-close, and get all of it. */
export async function expectBothWays(
  pair: UnixPair,
  provider: Peer,
  target: string,
  bytes: number,
): Promise<void> {
  const [sent, received, count] = (await pair.ask('both', target, String(bytes))).split(' ');
  expect(received).toBe(sent);
  expect(Number(count)).toBe(bytes);
  expect(await provider.line()).toBe(`${sent} ${count}`);
}

/** `pair` serves by serve-count, which answers when it has all that the consumer sent before it half-closed. */
export async function expectCounted(pair: UnixPair, target: string, bytes: number): Promise<void> {
  const [sent, received, count] = (await pair.ask('flood', target, String(bytes))).split(' ');
  expect([received, Number(count)]).toEqual([sent, bytes]);
}

/** Sends 256 MiB to a reader that stalls: the daemon keeps less than 4 MiB of it, and the reader gets it all. */
export async function expectHeldUp(pair: UnixPair, target: string): Promise<void> {
  await pair.serve('serve-echo');
  await pair.daemon.until({ raw: 'established' });
  await pair.ask('ask', target, 'warm up');
  pair.reset();
  const stalled = await pair.serve('serve-sink');
  await pair.daemon.until({ raw: 'established' });
  const before = pair.daemon.memory();
  const answer = pair.ask('flood', target, String(256 * MiB));
  expect(await stalled.line()).toBe('accepted');
  const moved = async () => (await pair.daemon.shown())[0]?.bytes.to_provider;
  await eventually(async () => expect(await moved()).toBeGreaterThan(0));
  await atRest(moved);
  expect(pair.daemon.memory() - before).toBeLessThan(4 * MiB);
  stalled.say('go\n');
  const [received, count] = (await stalled.line()).split(' ');
  expect(Number(count)).toBe(256 * MiB);
  expect((await answer).split(' ')[0]).toBe(received);
  expect(pair.daemon.memory() - before).toBeLessThan(4 * MiB);
}
