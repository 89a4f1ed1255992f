/**
 * A listening socket of ours in the provider, in the folder of the link's own, for protocols that hand one over. It
 * has the same name for the same link: one that a daemon left behind is replaced by its successor's.
 */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { Broker } from '../broker/client.js';
import { type Link, linkId } from '../graph/link.js';
import type { Logger } from '../kernel/log.js';
import type { ErrnoResult } from '../kernel/result.js';
import { failed, ok, type Result } from '../kernel/result.js';
import type { ProviderListener } from '../plugins/plugin.js';
import { closeSocket } from '../relay/closing.js';
import { native, SOCKET_TYPES } from '../relay/native.js';
import { listenError } from './errno.js';
import { type PlantWatch, removePlant } from './plants.js';
import type { ProviderEnd } from './provider.js';

export interface BesideParts {
  readonly broker: Broker;
  readonly provider: ProviderEnd;
  readonly plantWatch: PlantWatch;
  readonly link: Link;
  /** What is called when the link ends. */
  readonly ends: Set<() => void | Promise<void>>;
  readonly log: Logger;
}

function socketPair(): ErrnoResult<[number, number]> {
  try {
    return { ok: true, value: native.socketPair(SOCKET_TYPES.stream) };
  } catch (error) {
    return { ok: false, errno: (error as NodeJS.ErrnoException).code ?? 'EMFILE' };
  }
}

/** `onLost`: the provider sees it no longer. */
export async function listenBeside(
  { broker, provider, plantWatch, link, ends, log }: BesideParts,
  onLost: () => void,
): Promise<Result<ProviderListener>> {
  const name = createHash('sha256').update(linkId(link)).digest('hex').slice(0, 16);
  const path = posix.join(posix.dirname(link.socket), `.pvx-${name}`);
  const there = await provider.listen(path);
  if (!there.ok) return there;
  const { container, planted } = there.value;
  const { fd, plant } = planted;
  const pair = socketPair();
  if (!pair.ok) {
    closeSocket(fd);
    await removePlant(broker, plant, path, log);
    return failed(listenError({ consumer: link.provider, target: path }, pair.errno));
  }
  const [ours, hangup] = pair.value;
  const unwatch = plantWatch.plant(container, plant, onLost);
  const remove = async () => {
    if (!ends.delete(remove)) return;
    unwatch();
    closeSocket(ours);
    await removePlant(broker, plant, path, log);
  };
  ends.add(remove);
  return ok({ fd, hangup, path, remove });
}
