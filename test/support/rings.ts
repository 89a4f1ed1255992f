/** Links that lead back to links of ours, by symlinks in the consumer: how tests make them, and what they count. */
import type { ContainerPair } from './container-pair.js';
import type { WireLink } from './link.js';

/** A link both of whose ends are in the consumer. */
export function within(pair: ContainerPair, fields: Partial<WireLink> = {}): WireLink {
  return pair.link({ provider: 'consumer', provider_pid: pair.consumer.pid, ...fields });
}

/** In the consumer: what is at a path is another path's. */
export async function point(pair: ContainerPair, from: string, to: string): Promise<void> {
  const script = `mkdir -p $(dirname ${from}) && ln -sfn ${to} ${from}`;
  await pair.consumer.exec(['sh', '-c', script]);
}

/**
 * More than any ring of TCP or streams has. The relay accepts up to 64 connections (RELAY_BATCH of native/relay/relay.h)
 * before it reads how the broker answered for any of them, and each may be made by the one before it: then the ring is
 * known, and at most as many are still in its queue.
 */
export const MANY = 2 * 64;

/** Connections that all links have or had. */
export async function totalOf({ daemon }: ContainerPair): Promise<number> {
  const shown = await daemon.shown();
  return shown.reduce((sum, { connections }) => sum + connections.total, 0);
}
