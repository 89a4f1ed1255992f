/** The daemon with two links to the provider in its container: rest for a consumer, http for the host. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { contain } from '../load.js';
import { DAEMON, missing, serveGraph, untilItKnows } from '../ours.js';
import { Task } from '../task.js';
import type { HttpSubject } from './subjects.js';

const PORT = 18_080;

function graphOf(consumer: number, provider: number): string {
  const shared = {
    ...{ provider: 'provider', provider_pid: provider, role: 'any', socket: '/run/b0' },
    http: { limits: { connections: 4096 } },
  };
  return JSON.stringify([
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
  ]);
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
    const pvCtrl = join(folder, 'pv-ctrl');
    const control = join(folder, 'control');
    const runtime = await serveGraph(pvCtrl);
    runtime.graph = graphOf(consumer.pid, Number(provider.split('/')[2]));
    chmodSync(folder, 0o755); // the daemon is not root
    const argv = [DAEMON, '--pv-ctrl', pvCtrl, '--control', control, '--log-level', 'warn'];
    const daemon = new Task(argv, { log: join(folder, 'log') });
    await untilItKnows(control, 2, daemon);
    await sleep(200);
    return {
      rest: { socket: `/proc/${consumer.pid}/root/run/f` },
      http: { port: PORT },
      stop: async () => {
        await daemon.stop();
        await runtime.stop();
        await consumer.stop();
      },
    };
  },
};
