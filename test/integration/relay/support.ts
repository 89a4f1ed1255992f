/** A relay with its far ends: pairs of sockets joined by it, and a program that plays both sides. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { Channel } from '../../../src/relay/channel.js';
import { native, SOCKET_TYPES } from '../../../src/relay/native.js';
import type { Relay } from '../../../src/relay/relay.js';
import type { RelayLink, RelayLinkOptions } from '../../../src/relay/relay-link.js';
import { countOpenFiles } from '../../support/open-files.js';
import { endBy } from '../../support/processes.js';
import { pythonOf } from '../../support/python.js';
import { startRelay, type TestRelay } from '../../support/relay.js';

const PEER = pythonOf(import.meta.url, '../../support/lingering.py', 'peer.py');

/** Bytes and descriptors of one message. */
export type Message = [bytes: number, fds: number];

export interface Job {
  readonly do: string;
  readonly seed?: number;
  readonly [argument: string]: unknown;
}

/** peer.py, which does its jobs side by side. */
export class Peers {
  readonly #process: ChildProcess;
  readonly #channel: Channel;
  readonly #waiting = new Map<
    number,
    { resolve(value: unknown): void; reject(error: Error): void }
  >();
  #next = 0;

  constructor() {
    const [near, far] = native.socketPair(SOCKET_TYPES.seqpacket);
    this.#process = spawn('python3', ['-c', PEER], {
      stdio: ['ignore', 'inherit', 'inherit', far],
    });
    closeSync(far);
    this.#channel = new Channel(near, true);
    this.#channel.onData = (data) => {
      const { id, ok, error } = JSON.parse(data.toString());
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(ok);
      else waiting?.reject(new Error(error));
    };
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  /** Takes the sockets. Rejects with what went wrong there. */
  async do<T = null>(job: Job, ...sockets: number[]): Promise<T> {
    const id = ++this.#next;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#channel.write(Buffer.from(JSON.stringify({ seed: 0, ...job, id })), sockets);
    return (await answer) as T;
  }

  async stop(): Promise<void> {
    this.#channel.close();
    await endBy(this.#process);
  }
}

export interface Joined {
  readonly link: RelayLink;
  /** The far ends, the test's own. */
  readonly consumer: number;
  readonly provider: number;
}

export function linkOptions(options: Partial<RelayLinkOptions> = {}): RelayLinkOptions {
  return {
    type: 'stream',
    fds: true,
    patienceMs: 2_000,
    maxConnections: 100,
    memory: 64 * 2 ** 20,
    consumerHandle: 0,
    ...options,
  };
}

/** One connection, joined by a link of its own or by the one given. */
export function join(
  relay: Relay,
  options: Partial<RelayLinkOptions> = {},
  link: RelayLink = relay.link(linkOptions(options)),
): Joined {
  const type = SOCKET_TYPES[options.type ?? 'stream'];
  const [consumer, near] = native.socketPair(type);
  const [provider, far] = native.socketPair(type);
  link.join(near, far);
  return { link, consumer, provider };
}

/** How many descriptors a process has open. */
export const openFds = (pid = process.pid): number => countOpenFiles(pid);

export interface RelayStand {
  readonly peers: Peers;
  readonly relay: Relay;
  readonly process: TestRelay;
}

/** Call it within `describe`: one program for all tests, and a relay for each. */
export function useRelay(): RelayStand {
  const stand = {} as { peers: Peers; relay: Relay; process: TestRelay };
  beforeAll(() => {
    stand.peers = new Peers();
  });
  afterAll(() => stand.peers?.stop());
  beforeEach(async () => {
    stand.process = await startRelay();
    stand.relay = stand.process.relay;
  });
  afterEach(() => stand.process.stop());
  return stand;
}
