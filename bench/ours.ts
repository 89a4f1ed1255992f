/**
 * The daemon as a device runs it, under a runtime that gives it a graph of one provider and one consumer, each in
 * a container: once with descriptors enabled, once with `"fds": false`. Load client and far end reach into the containers
 * through the folders that they bind and connect in.
 */
import { chmodSync, existsSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { contain } from './load.js';
import { OURS, OURS_BYTES } from './report.js';
import type { Stand, Subject } from './subject.js';
import { Task } from './task.js';

// This file runs as build/bench/ours.js.
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const DAEMON = join(ROOT, 'bin/pv-xconnect');
const NEEDED = [
  DAEMON,
  ...['pvx.node', 'pvx-broker'].map((name) => `${ROOT}/build/Release/${name}`),
];
const PATIENCE_MS = 20_000;

/** A graph as a runtime gives it: `count` links, between two containers by pid. */
function graphOf(count: number, fds: boolean, consumer: number, provider: number): string {
  const links = Array.from({ length: count }, (_, i) => ({
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
  return JSON.stringify(links);
}

/** The part of a runtime that the daemon asks: `GET /xconnect-graph`, and nothing else. */
export async function serveGraph(path: string) {
  const runtime = { graph: '[]', stop: async () => void server.close() };
  const server = createServer(({ method }, response) => {
    response.statusCode = method === 'GET' ? 200 : 404;
    response.end(method === 'GET' ? runtime.graph : '{}');
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return runtime;
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

export async function untilItKnows(control: string, count: number, daemon: Task): Promise<void> {
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
  const tasks: { stop(): Promise<void> }[] = [];
  const stop = async () => {
    for (const task of tasks.reverse()) await task.stop();
  };

  try {
    const provider = await contain();
    tasks.push(provider);
    const consumer = await contain();
    tasks.push(consumer);

    const [pvCtrl, control] = ['pv-ctrl', 'control'].map((name) => join(folder, name)) as [
      string,
      string,
    ];
    const runtime = await serveGraph(pvCtrl);
    tasks.push(runtime);
    runtime.graph = graphOf(count, fds, 0, provider.pid);
    chmodSync(folder, 0o755); // the daemon is not root
    const argv = [DAEMON, '--pv-ctrl', pvCtrl, '--control', control, '--log-level', 'warn'];
    const daemon = new Task(argv, { log: join(folder, 'log') });
    tasks.push(daemon);
    await untilItKnows(control, count, daemon);

    return {
      front: { dir: `/proc/${consumer.pid}/root/run`, prefix: 'f' },
      back: { dir: `/proc/${provider.pid}/root/run`, prefix: 'b' },
      start: () => {
        runtime.graph = graphOf(count, fds, consumer.pid, provider.pid);
        process.kill(daemon.pid, 'SIGHUP');
      },
      pids: () => [daemon.pid],
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

export function missing(): string | undefined {
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
