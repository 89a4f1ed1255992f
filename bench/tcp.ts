/**
 * tcp links, and what a user would pick instead: every subject listens on a port of 127.0.0.1 and leads to another
 * one there, at which the far end listens.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { find, hostStand, SOCKET_PROXYD } from './competitors.js';
import { missing, startDaemon } from './daemon.js';
import { contain, execArgv } from './load.js';
import { NONE, OURS } from './report.js';
import type { Stand, Subject } from './subject.js';

/** What `--only` may choose of: the others have no meaning here. */
export const TCP_PROBES = ['bulk', 'pingpong', 'connect', 'idle'];

/** Below the ports that the kernel gives to clients. A stand has twenty; it uses the first of each ten. */
const FIRST_TEN = 2100;
let stands = 0;

interface Ports {
  readonly front: string;
  readonly back: string;
}

/** `127.0.0.1:PORT` without its last digit, which is the number of the socket. */
function nextPorts(): Ports {
  const ten = FIRST_TEN + 2 * stands++;
  return { front: `127.0.0.1:${ten}`, back: `127.0.0.1:${ten + 1}` };
}

/** A command that leads from the front to the back, once it runs. */
function commandSubject(
  key: string,
  title: string,
  absent: () => string | undefined,
  command: (ports: Ports, folder: string) => readonly string[],
): Subject {
  return {
    key,
    title,
    missing: absent,
    stand: async (folder) => {
      const ports = nextPorts();
      return hostStand(folder, [command(ports, folder)], ports);
    },
  };
}

const absentProgram = (name: string) => () => (find(name) ? undefined : 'not installed');

const none: Subject = {
  key: NONE,
  title: 'no proxy',
  missing: () => undefined,
  stand: async (folder) => {
    const { back } = nextPorts();
    return hostStand(folder, [], { front: back, back });
  },
};

const socat = commandSubject('socat', 'socat', absentProgram('socat'), ({ front, back }) =>
  execArgv([
    'socat',
    '-b65536', // its default of 8 KiB would be unfair to it
    `TCP-LISTEN:${portOf(front)},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=4096`,
    `TCP:${back}0,nodelay`,
  ]),
);

const socketProxyd = commandSubject(
  'socket-proxyd',
  'systemd-socket-proxyd',
  () => (existsSync(SOCKET_PROXYD) ? undefined : `${SOCKET_PROXYD} is not there`),
  ({ front, back }) => execArgv([SOCKET_PROXYD, '--connections-max=4096', `${back}0`], `${front}0`),
);

/** `option splice-auto` has HAProxy splice as ours does; as that can be slower, HAProxy is measured without it too. */
function haproxy(key: string, title: string, splice: boolean): Subject {
  return commandSubject(key, title, absentProgram('haproxy'), ({ front, back }, folder) => {
    const config = `global
  nbthread 1
  maxconn 4096
defaults
  mode tcp
  ${splice ? 'option splice-auto' : ''}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen l
  bind ${front}0 backlog 4096
  server s ${back}0
`;
    writeFileSync(join(folder, 'haproxy.cfg'), config);
    return execArgv([find('haproxy') ?? 'haproxy', '-db', '-q', '-f', 'haproxy.cfg']);
  });
}

async function oursStand(folder: string): Promise<Stand> {
  const { front, back } = nextPorts();
  const provider = await contain();
  const daemon = await startDaemon(folder, []);
  return {
    front: { dir: folder, prefix: front },
    back: { dir: folder, prefix: back },
    start: () => daemon.set([linkOf(`${front}0`, `${back}0`, provider.pid)]),
    pids: () => [daemon.pid],
    stop: async () => {
      await daemon.stop();
      await provider.stop();
    },
  };
}

function linkOf(target: string, socket: string, provider: number): object {
  return {
    ...{ consumer: 'EXTERNAL', consumer_pid: 0, provider: 'provider', provider_pid: provider },
    ...{ name: 'tcp', type: 'tcp', role: 'any', interface: 'tcp', target, socket },
  };
}

function portOf(prefix: string): string {
  return `${prefix.replace(/.*:/, '')}0`;
}

const ours: Subject = {
  key: OURS,
  title: 'pv-xconnect',
  missing,
  stand: (folder) => oursStand(folder),
};

export const tcpSubjects: readonly Subject[] = [
  ours,
  none,
  socat,
  socketProxyd,
  haproxy('haproxy', 'HAProxy, one thread', false),
  haproxy('haproxy-splice', 'HAProxy, one thread, splice-auto', true),
];
