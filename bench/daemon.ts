/** The daemon as a device runs it, under as much of a runtime as gives it a graph. */
import { chmodSync, existsSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Task } from './task.js';

// This file runs as build/bench/daemon.js.
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DAEMON = join(ROOT, 'bin/pv-xconnect');
const NEEDED = [
  DAEMON,
  ...['pvx.node', 'pv-xconnect', 'pvx-broker', 'pvx-relay'].map(
    (name) => `${ROOT}/build/Release/${name}`,
  ),
];
const PATIENCE_MS = 20_000;

export function missing(): string | undefined {
  const absent = NEEDED.find((path) => !existsSync(path));
  if (absent !== undefined) return `${absent} is not there: run npm ci`;
  return process.getuid?.() === 0 ? undefined : 'containers need root';
}

export interface OurDaemon {
  readonly pid: number;
  /** Resolves when all that it knows are established. */
  untilEstablished(): Promise<void>;
  /** Has it look at a new graph at once. */
  set(links: readonly object[]): void;
  stop(): Promise<void>;
}

export interface Launch {
  /** Executes it: returns at once. */
  start(): Task;
  /** What it learns from its runtime when it asks again. */
  set(links: readonly object[]): void;
  stop(): Promise<void>;
}

/** A daemon that is not started yet, and its runtime, which is. `folder`: its own, for all that it writes. */
export async function prepareDaemon(folder: string, links: readonly object[]): Promise<Launch> {
  const pvCtrl = join(folder, 'pv-ctrl');
  const runtime = await serveGraph(pvCtrl);
  const paths = ['--pv-ctrl', pvCtrl, '--control', controlOf(folder)];
  let task: Task | undefined;
  const set = (next: readonly object[]) => {
    runtime.graph = JSON.stringify(next);
  };
  set(links);
  chmodSync(folder, 0o755); // the daemon is not root
  return {
    set,
    start: () => {
      task = new Task([DAEMON, ...paths, '--log-level', 'warn'], { log: join(folder, 'log') });
      return task;
    },
    stop: async () => {
      await task?.stop();
      await runtime.stop();
    },
  };
}

const controlOf = (folder: string) => join(folder, 'control');

/** `folder`: its own, for all that it writes. Resolves when it knows these links, whatever their state. */
export async function startDaemon(folder: string, links: readonly object[]): Promise<OurDaemon> {
  const launch = await prepareDaemon(folder, links);
  const control = controlOf(folder);
  const task = launch.start();
  const { stop } = launch;
  const until = async (what: string, holds: (states: readonly string[]) => boolean) => {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const states = await statesOf(control);
      if (states && holds(states)) return;
      if (Date.now() > deadline) throw new Error(`pv-xconnect does not ${what}: ${task.output()}`);
      await sleep(20);
    }
  };
  try {
    await until(`know its ${links.length} links`, (states) => states.length === links.length);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    pid: task.pid,
    untilEstablished: () =>
      until('establish its links', (states) => states.every((state) => state === 'established')),
    set: (next) => {
      launch.set(next);
      process.kill(task.pid, 'SIGHUP');
    },
    stop,
  };
}

/** The part of a runtime that the daemon asks: `GET /xconnect-graph`, and nothing else. */
async function serveGraph(path: string) {
  const runtime = { graph: '[]', stop: async () => void server.close() };
  const server = createServer(({ method }, response) => {
    response.statusCode = method === 'GET' ? 200 : 404;
    response.end(method === 'GET' ? runtime.graph : '{}');
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return runtime;
}

/** The states of the links that the daemon knows; null while it does not answer. */
function statesOf(control: string): Promise<string[] | null> {
  return new Promise((resolve) => {
    const asked = request(
      { socketPath: control, path: '/xconnect-graph', agent: false },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          const graph: { state: string }[] = JSON.parse(Buffer.concat(chunks).toString());
          resolve(graph.map(({ state }) => state));
        });
      },
    );
    asked.once('error', () => resolve(null));
    asked.end();
  });
}
