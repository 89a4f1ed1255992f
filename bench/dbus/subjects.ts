/** What stands between a client and the bus: nothing, xdg-dbus-proxy, or ours; the latter two with rules and without. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDaemon, missing as weMiss } from '../daemon.js';
import { contain, execArgv } from '../load.js';
import { Task } from '../task.js';
import type { Bus } from './bus.js';
import { POLICY, PROXY_FLAGS } from './rules.js';

/** The socket that clients connect to. */
export interface BusStand {
  readonly folder: string;
  readonly name: string;
  stop(): Promise<void>;
}

export interface BusSubject {
  readonly key: string;
  readonly title: string;
  missing(): string | undefined;
  /** `folder` is empty and this stand's own. */
  stand(folder: string, bus: Bus): Promise<BusStand>;
}

export const OURS_FILTERED = 'ours-filtered';
export const PROXY = 'xdg-dbus-proxy';
export const PROXY_FILTERED = 'xdg-dbus-proxy-filtered';

const none: BusSubject = {
  key: 'none',
  title: 'no proxy',
  missing: () => undefined,
  stand: async (_folder, { folder }) => ({ folder, name: 'bus', stop: async () => {} }),
};

function ours(key: string, title: string, fields: object): BusSubject {
  return {
    key,
    title,
    missing: weMiss,
    stand: async (folder, { provider }) => {
      const consumer = await contain();
      const daemon = await startDaemon(folder, [
        {
          ...{ consumer: 'consumer', consumer_pid: consumer.pid, name: 'bus', type: 'dbus' },
          ...{ provider: 'provider', provider_pid: provider, role: 'any', interface: 'dbus' },
          ...{ target: '/run/f', socket: '/run/bus', ...fields },
        },
      ]);
      const at = `/proc/${consumer.pid}/root/run`;
      await daemon.untilEstablished();
      return {
        ...{ folder: at, name: 'f' },
        stop: async () => {
          await daemon.stop();
          await consumer.stop();
        },
      };
    },
  };
}

function proxy(key: string, title: string, flags: readonly string[]): BusSubject {
  return {
    key,
    title,
    missing: () => (existsSync('/usr/bin/xdg-dbus-proxy') ? undefined : 'not installed'),
    stand: async (folder, bus) => {
      const path = join(folder, 'f');
      const argv = ['xdg-dbus-proxy', `unix:path=${bus.folder}/bus`, path, ...flags];
      const task = new Task(execArgv(argv), { log: join(folder, 'log') });
      while (!existsSync(path)) await sleep(20);
      return { folder, name: 'f', stop: () => task.stop() };
    },
  };
}

export const subjects: readonly BusSubject[] = [
  none,
  ours('ours', 'pv-xconnect', {}),
  ours(OURS_FILTERED, 'pv-xconnect, 20 rules', { policy: POLICY }),
  proxy(PROXY, 'xdg-dbus-proxy', []),
  proxy(PROXY_FILTERED, 'xdg-dbus-proxy --filter, 20 rules', PROXY_FLAGS),
];
