/**
 * The daemon as a user runs it, on a revision of one provider and one consumer, each in a container: once
 * with descriptors enabled, once with `"fds": false`. Load client and far end reach into the containers
 * through the folders that they bind and connect in.
 */
import { chmodSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { contain } from './load.js';
import { OURS, OURS_BYTES } from './report.js';
import type { Stand, Subject } from './subject.js';
import { Task } from './task.js';

// This file runs as build/bench/ours.js.
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DAEMON = join(ROOT, 'bin/pv-xconnect');
const NEEDED = [
  DAEMON,
  ...['pvx.node', 'pvx-broker'].map((name) => `${ROOT}/build/Release/${name}`),
];
const PATIENCE_MS = 20_000;

function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, JSON.stringify(value));
  renameSync(`${path}.new`, path);
}

/** `count` services, each required once. */
function writeRevision(folder: string, count: number, fds: boolean): void {
  const numbers = Array.from({ length: count }, (_, i) => i);
  const services = numbers.map((i) => ({
    name: `s${i}`,
    type: 'unix',
    socket: `/run/b${i}`,
    ...(fds ? {} : { fds }),
  }));
  const required = numbers.map((i) => ({ name: `s${i}`, target: `/run/f${i}` }));

  mkdirSync(join(folder, 'provider'), { recursive: true });
  mkdirSync(join(folder, 'consumer'));
  writeJson(join(folder, 'provider/services.json'), {
    '#spec': 'service-manifest-xconnect@1',
    services,
  });
  writeJson(join(folder, 'consumer/run.json'), { services: { required } });
  writeJson(join(folder, 'device.json'), {});
}

/** How many links the daemon knows; -1 while it does not answer. */
function countLinks(control: string): Promise<number> {
  return new Promise((resolve) => {
    const asked = request(
      { socketPath: control, path: '/xconnect-graph', agent: false },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          const graph: unknown = JSON.parse(Buffer.concat(chunks).toString());
          resolve(Array.isArray(graph) ? graph.length : -1);
        });
      },
    );
    asked.once('error', () => resolve(-1));
    asked.end();
  });
}

async function untilItKnows(control: string, count: number, daemon: Task): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while ((await countLinks(control)) !== count) {
    if (Date.now() > deadline) {
      throw new Error(`pv-xconnect does not know its ${count} links: ${daemon.output()}`);
    }
    await sleep(20);
  }
}

/** Up, with its provider and without its consumer: `start` is the moment that the consumer's pid is known. */
async function stand(folder: string, count: number, fds: boolean): Promise<Stand> {
  const tasks: Task[] = [];
  const stop = async () => {
    for (const task of tasks.reverse()) await task.stop();
  };

  try {
    const provider = await contain();
    tasks.push(provider);
    const consumer = await contain();
    tasks.push(consumer);

    const [state, pids, control] = ['revision', 'pids', 'control'].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    chmodSync(folder, 0o755); // the daemon is not root
    writeRevision(state, count, fds);
    writeJson(pids, { provider: provider.pid });
    const argv = [DAEMON, '--state', state, '--pids', pids, '--control', control];
    const daemon = new Task([...argv, '--log-level', 'warn'], { log: join(folder, 'log') });
    tasks.push(daemon);
    await untilItKnows(control, count, daemon);

    return {
      front: { dir: `/proc/${consumer.pid}/root/run`, prefix: 'f' },
      back: { dir: `/proc/${provider.pid}/root/run`, prefix: 'b' },
      start: () => writeJson(pids, { provider: provider.pid, consumer: consumer.pid }),
      pids: () => [daemon.pid],
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function missing(): string | undefined {
  const absent = NEEDED.find((path) => !existsSync(path));
  if (absent !== undefined) return `${absent} is not there: run npm ci`;
  return process.getuid?.() === 0 ? undefined : 'containers need root';
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
