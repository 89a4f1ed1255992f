/** The load tool, typed: compiled once, then one process a server or a measurement. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Sockets } from './subject.js';
import { Task } from './task.js';

// This file runs as build/bench/load.js.
const SOURCES = fileURLToPath(new URL('../../bench/load', import.meta.url));
const BINARY = fileURLToPath(new URL('../bench-load', import.meta.url));
const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-D_GNU_SOURCE'];

/** Throws where there is no C compiler. */
export function compileLoad(): void {
  const sources = readdirSync(SOURCES).filter((name) => name.endsWith('.c'));
  mkdirSync(fileURLToPath(new URL('..', import.meta.url)), { recursive: true });
  execFileSync(process.env.CC ?? 'cc', [...FLAGS, ...sources, '-o', BINARY], {
    cwd: SOURCES,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

/** Runs `command` so that it ends with us; `listen`: socket-activated on that path. */
export function execArgv(command: readonly string[], listen?: string): string[] {
  return [BINARY, 'exec', ...(listen === undefined ? [] : ['-l', listen]), ...command];
}

async function begin(args: readonly string[]): Promise<Task> {
  const task = new Task([BINARY, ...args]);
  const line = await task.line();
  if (line !== 'ready') throw new Error(`load ${args.join(' ')}: it said ${line}, expected ready.`);
  return task;
}

async function result<Key extends string>(args: readonly string[]): Promise<Record<Key, number>> {
  const task = new Task([BINARY, ...args]);
  try {
    return JSON.parse(await task.line()) as Record<Key, number>;
  } finally {
    await task.stop();
  }
}

/** A container with an empty /run and nothing else of its own; its pid is the task's. */
export function contain(): Promise<Task> {
  return begin(['contain']);
}

/** The far end of `count` sockets. */
export function serve(at: Sockets, count: number): Promise<Task> {
  return begin(['server', at.dir, at.prefix, `${count}`]);
}

/** The far end of HTTP at `path`. */
export function serveHttp(folder: string, name: string): Promise<Task> {
  return begin(['http', folder, name]);
}

/** A service on the bus at that socket. */
export function serveBus(folder: string, name: string): Promise<Task> {
  return begin(['dbus-service', folder, name]);
}

/** D-Bus calls per second of that service, `calls` under way. */
export async function busCalls(
  folder: string,
  name: string,
  calls: number,
  ms: number,
): Promise<number> {
  const { answers, ns } = await result<'answers' | 'ns'>([
    ...['dbus-calls', folder, name, `${calls}`, `${ms}`],
  ]);
  return (answers / ns) * 1e9;
}

/** `connections` open connections to the first socket, until the task is stopped. */
export function hold(at: Sockets, connections: number): Promise<Task> {
  return begin(['hold', at.dir, `${at.prefix}0`, `${connections}`]);
}

/** Bytes per second, one way, through the first socket. */
export async function bulk(at: Sockets, streams: number, ms: number): Promise<number> {
  const args = ['bulk', at.dir, `${at.prefix}0`, `${streams}`, `${ms}`];
  const { bytes, ns } = await result<'bytes' | 'ns'>(args);
  return (bytes / ns) * 1e9;
}

type Times = 'ns' | 'p50' | 'p99';

export interface PingPong {
  /** Round trips per second, of all connections together. */
  readonly rate: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
}

function latencies(count: number, { ns, p50, p99 }: Record<Times, number>): PingPong {
  return { rate: (count / ns) * 1e9, p50: p50 / 1000, p99: p99 / 1000 };
}

export async function pingPong(at: Sockets, connections: number, ms: number): Promise<PingPong> {
  const args = ['pingpong', at.dir, `${at.prefix}0`, `${connections}`, `${ms}`];
  const { roundtrips, ...times } = await result<'roundtrips' | Times>(args);
  return latencies(roundtrips, times);
}

/** HTTP requests, one after the other over each connection, to a socket in `dir` or (`-`) to a port. */
export async function requests(
  dir: string,
  name: string,
  connections: number,
  ms: number,
): Promise<PingPong> {
  const args = ['requests', dir, name, `${connections}`, `${ms}`];
  const { answers, ...times } = await result<'answers' | Times>(args);
  return latencies(answers, times);
}

/** Connections per second, each with one byte there and back. */
export async function connectionRate(at: Sockets, clients: number, ms: number): Promise<number> {
  const args = ['connrate', at.dir, `${at.prefix}0`, `${clients}`, `${ms}`];
  const { connections, ns } = await result<'connections' | 'ns'>(args);
  return (connections / ns) * 1e9;
}

/** Milliseconds from just before `trigger` until each of `count` sockets has answered one byte. */
export async function timeUntilUsable(
  at: Sockets,
  count: number,
  trigger: () => void | Promise<void>,
): Promise<number> {
  const task = await begin(['usable', at.dir, at.prefix, `${count}`]);
  try {
    const from = process.hrtime.bigint();
    await trigger();
    const { at: until } = JSON.parse(await task.line()) as { at: number };
    return (until - Number(from)) / 1e6;
  } finally {
    await task.stop();
  }
}
