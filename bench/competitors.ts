/** The alternatives to pv-xconnect, and no proxy at all. */
import { existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execArgv } from './load.js';
import type { Stand, Subject } from './subject.js';
import { Task } from './task.js';

export const SOCKET_PROXYD = '/lib/systemd/systemd-socket-proxyd';

export function find(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/** `commands` serve all of the front once they run; `prefixes`: of the sockets in the folder, or of addresses. */
export function hostStand(
  folder: string,
  commands: readonly (readonly string[])[],
  prefixes = { front: 'f', back: 'b' },
): Stand {
  const tasks: Task[] = [];
  const log = join(folder, 'log');

  return {
    front: { dir: folder, prefix: prefixes.front },
    back: { dir: folder, prefix: prefixes.back },
    start: () => {
      for (const command of commands) tasks.push(new Task(command, { cwd: folder, log }));
    },
    pids: () => tasks.map((task) => task.pid),
    stop: async () => {
      await Promise.all(tasks.map((task) => task.stop()));
    },
  };
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

const none: Subject = {
  key: 'none',
  title: 'no proxy',
  missing: () => undefined,
  stand: async (folder) => hostStand(folder, [], { front: 'b', back: 'b' }),
};

const socat: Subject = {
  key: 'socat',
  title: 'socat',
  missing: () => (find('socat') ? undefined : 'not installed'),
  stand: async (folder, count) =>
    hostStand(
      folder,
      numbers(count).map((i) =>
        execArgv([
          'socat',
          '-b65536', // its default of 8 KiB would be unfair to it
          `UNIX-LISTEN:f${i},fork,backlog=4096`,
          `UNIX-CONNECT:${folder}/b${i}`,
        ]),
      ),
    ),
};

const socketProxyd: Subject = {
  key: 'socket-proxyd',
  title: 'systemd-socket-proxyd',
  missing: () => (existsSync(SOCKET_PROXYD) ? undefined : `${SOCKET_PROXYD} is not there`),
  stand: async (folder, count) =>
    hostStand(
      folder,
      numbers(count).map((i) =>
        execArgv([SOCKET_PROXYD, '--connections-max=4096', `${folder}/b${i}`], `f${i}`),
      ),
    ),
};

const haproxy: Subject = {
  key: 'haproxy',
  title: 'HAProxy, one thread',
  missing: () => (find('haproxy') ? undefined : 'not installed'),
  stand: async (folder, count) => {
    const config = [
      'global',
      '  nbthread 1',
      '  maxconn 4096',
      'defaults',
      '  mode tcp',
      '  timeout connect 5s',
      '  timeout client 1h',
      '  timeout server 1h',
      ...numbers(count).flatMap((i) => [
        `listen l${i}`,
        `  bind unix@${folder}/f${i} backlog 4096`,
        `  server s${i} unix@${folder}/b${i}`,
      ]),
      '',
    ];
    writeFileSync(join(folder, 'haproxy.cfg'), config.join('\n'));
    const program = find('haproxy') ?? 'haproxy';
    return hostStand(folder, [execArgv([program, '-db', '-q', '-f', 'haproxy.cfg'])]);
  },
};

export const competitors: readonly Subject[] = [none, socat, socketProxyd, haproxy];
