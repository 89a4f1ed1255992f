/** What is measured over HTTP: requests over kept connections, and long bodies either way. */
import { execFile } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { requests } from '../load.js';
import type { Metric } from '../probes.js';
import type { Front, HttpStand } from './subjects.js';

const CONNECTIONS = [1, 32, 256];
const MIB = 1024 * 1024;
const KINDS = ['rest', 'http'] as const;

export interface HttpProbe {
  readonly key: string;
  readonly metrics: readonly Metric[];
  measure(stand: HttpStand, ms: number, folder: string): Promise<(number | null)[]>;
}

function requestProbe(kind: (typeof KINDS)[number], connections: number): HttpProbe {
  const title = `${kind}, ${connections} connection${connections === 1 ? '' : 's'}`;
  const key = `${kind}-${connections}`;
  return {
    key: 'requests',
    metrics: [
      { key, title: `${title}, requests`, unit: 'requests/s', better: 'more' },
      { key: `${key}-p99`, title: `${title}, 99 of 100 take at most`, unit: 'µs', better: 'less' },
    ],
    measure: async (stand, ms) => {
      const front = stand[kind];
      if (!front) return [null, null];
      const [dir, name] =
        'port' in front
          ? ['-', String(front.port)]
          : [dirname(front.socket), basename(front.socket)];
      const { rate, p99 } = await requests(dir, name, connections, ms);
      return [rate, p99];
    },
  };
}

function bodyProbe(
  kind: (typeof KINDS)[number],
  direction: 'up' | 'down',
  size: number,
): HttpProbe {
  const metric: Metric = {
    key: `${kind}-${direction}`,
    title: `${kind}, ${size / MIB} MiB ${direction}`,
    unit: 'MiB/s',
    better: 'more',
  };
  return {
    key: 'bodies',
    metrics: [metric],
    measure: async (stand, _ms, folder) => {
      const front = stand[kind];
      return [front ? await transfer(front, direction, size, folder) : null];
    },
  };
}

/** By curl, from a file without content; MiB a second. */
function transfer(front: Front, direction: 'up' | 'down', size: number, folder: string) {
  const file = join(folder, 'body');
  const where = 'port' in front ? `http://127.0.0.1:${front.port}` : `http://localhost`;
  const socket = 'socket' in front ? ['--unix-socket', front.socket] : [];
  const show = ['-w', `%{speed_${direction}load} %{http_code}`, '-o', '/dev/null'];
  const what =
    direction === 'up' ? ['-T', file, '-H', 'Expect:', `${where}/up`] : [`${where}/${size}`];
  if (direction === 'up') {
    writeFileSync(file, '');
    truncateSync(file, size);
  }
  return new Promise<number>((resolve, reject) => {
    const argv = ['-sS', '--max-time', '60', ...socket, ...show, ...what];
    execFile('curl', argv, (error, stdout) => {
      const [speed, status] = stdout.split(' ');
      if (error || status !== '200') reject(error ?? new Error(`the answer was ${status}`));
      else resolve(Number(speed) / MIB);
    });
  });
}

/** `size`: of a long body, in bytes. */
export function httpProbes(size: number): readonly HttpProbe[] {
  return [
    ...KINDS.flatMap((kind) => CONNECTIONS.map((count) => requestProbe(kind, count))),
    ...KINDS.flatMap((kind) =>
      (['up', 'down'] as const).map((direction) => bodyProbe(kind, direction, size)),
    ),
  ];
}
