/**
 * Ours, with one provider and one consumer, each in a container: once with descriptors enabled, once with
 * `"fds": false`. Load client and far end reach into the containers through the folders that they bind and connect in.
 */
import { missing, startDaemon } from './daemon.js';
import { contain } from './load.js';
import { OURS, OURS_BYTES } from './report.js';
import type { Stand, Subject } from './subject.js';

/** `count` links between two containers, by their pids. */
function graphOf(count: number, fds: boolean, consumer: number, provider: number): object[] {
  return Array.from({ length: count }, (_, i) => ({
    consumer: 'consumer',
    consumer_pid: consumer,
    provider: 'provider',
    provider_pid: provider,
    name: `s${i}`,
    type: 'unix',
    role: 'any',
    interface: 'unix',
    target: `/run/f${i}`,
    socket: `/run/b${i}`,
    ...(fds ? {} : { fds }),
  }));
}

/** Running, with its provider and without its consumer. `start`: gives the daemon the consumer's pid. */
async function stand(folder: string, count: number, fds: boolean): Promise<Stand> {
  const started: { stop(): Promise<void> }[] = [];
  const stop = async () => {
    for (const one of started.reverse()) await one.stop();
  };

  try {
    const provider = await contain();
    started.push(provider);
    const consumer = await contain();
    started.push(consumer);
    const daemon = await startDaemon(folder, graphOf(count, fds, 0, provider.pid));
    started.push(daemon);

    return {
      front: { dir: `/proc/${consumer.pid}/root/run`, prefix: 'f' },
      back: { dir: `/proc/${provider.pid}/root/run`, prefix: 'b' },
      start: () => daemon.set(graphOf(count, fds, consumer.pid, provider.pid)),
      pids: () => [daemon.pid],
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

export const oursSubjects: readonly Subject[] = [
  {
    key: OURS,
    title: 'pv-xconnect',
    missing,
    stand: (folder, count) => stand(folder, count, true),
  },
  {
    key: OURS_BYTES,
    title: 'pv-xconnect, "fds": false',
    missing,
    stand: (folder, count) => stand(folder, count, false),
  },
];
