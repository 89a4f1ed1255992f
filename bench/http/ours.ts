/** The daemon with two links to the provider in its container: rest for a consumer, http for the host. */
import { missing, startDaemon } from '../daemon.js';
import { contain } from '../load.js';
import type { Task } from '../task.js';
import type { HttpSubject } from './subjects.js';

const PORT = 18_080;

function graphOf(consumer: number, provider: number): object[] {
  const shared = {
    ...{ provider: 'provider', provider_pid: provider, role: 'any', socket: '/run/b0' },
    http: { limits: { connections: 4096 } },
  };
  return [
    {
      ...shared,
      ...{ consumer: 'consumer', consumer_pid: consumer, name: 'rest', type: 'rest' },
      ...{ interface: 'rest', target: '/run/f' },
    },
    {
      ...shared,
      ...{ consumer: 'EXTERNAL', consumer_pid: 0, name: 'http', type: 'http' },
      ...{ interface: 'http', target: `127.0.0.1:${PORT}` },
    },
  ];
}

/** Its provider's socket is not given to it but made by it: `back` is where the far end is to listen. */
export interface OurStand {
  readonly back: string;
}

export const ours: HttpSubject & { back(): Promise<Task & OurStand> } = {
  key: 'ours',
  title: 'pv-xconnect',
  missing,
  back: async () => {
    const container = await contain();
    return Object.assign(container, { back: `/proc/${container.pid}/root/run` });
  },
  stand: async (folder, provider) => {
    const consumer = await contain();
    const graph = graphOf(consumer.pid, Number(provider.split('/')[2]));
    const daemon = await startDaemon(folder, graph);
    await daemon.untilEstablished();
    return {
      rest: { socket: `/proc/${consumer.pid}/root/run/f` },
      http: { port: PORT },
      stop: async () => {
        await daemon.stop();
        await consumer.stop();
      },
    };
  },
};
