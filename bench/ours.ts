/**
 * Ours, with one provider and one consumer, each in a container: once with descriptors enabled, once with
 * `"fds": false`. Load client and far end reach into the containers through the folders that they bind and connect in.
 */
import { missing, prepareDaemon, startDaemon } from './daemon.js';
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

/** What a stand adds to two containers: the pids of these, and how their links are begun. */
type Proxy = (
  consumer: number,
  provider: number,
) => Promise<Pick<Stand, 'start' | 'pids' | 'stop'>>;

async function between(proxy: Proxy): Promise<Stand> {
  const started: { stop(): Promise<void> }[] = [];
  const stop = async () => {
    for (const one of started.reverse()) await one.stop();
  };

  try {
    const provider = await contain();
    started.push(provider);
    const consumer = await contain();
    started.push(consumer);
    const daemon = await proxy(consumer.pid, provider.pid);
    started.push(daemon);

    return {
      front: { dir: `/proc/${consumer.pid}/root/run`, prefix: 'f' },
      back: { dir: `/proc/${provider.pid}/root/run`, prefix: 'b' },
      start: () => daemon.start(),
      pids: () => daemon.pids(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Running, with its provider and without its consumer. `start`: gives the daemon the consumer's pid. */
const stand = (folder: string, count: number, fds: boolean) =>
  between(async (consumer, provider) => {
    const daemon = await startDaemon(folder, graphOf(count, fds, 0, provider));
    return {
      start: () => daemon.set(graphOf(count, fds, consumer, provider)),
      pids: () => [daemon.pid],
      stop: () => daemon.stop(),
    };
  });

/** Both containers run, and the daemon is what `start` starts. */
const coldStand = (folder: string, count: number, fds: boolean) =>
  between(async (consumer, provider) => {
    const launch = await prepareDaemon(folder, graphOf(count, fds, consumer, provider));
    let pids: readonly number[] = [];
    return {
      start: () => {
        pids = [launch.start().pid];
      },
      pids: () => pids,
      stop: () => launch.stop(),
    };
  });

const subjectOf = (key: string, title: string, fds: boolean): Subject => ({
  ...{ key, title, missing },
  stand: (folder, count) => stand(folder, count, fds),
  coldStand: (folder, count) => coldStand(folder, count, fds),
});

export const oursSubjects: readonly Subject[] = [
  subjectOf(OURS, 'pv-xconnect', true),
  subjectOf(OURS_BYTES, 'pv-xconnect, "fds": false', false),
];
