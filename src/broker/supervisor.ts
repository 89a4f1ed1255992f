/**
 * What the daemon has from pv-xconnect, the process that started it (native/supervisor/), and what it says to it.
 *
 * A daemon may be a successor: its descriptors are those of the daemon before it, with what was under way in them. Words
 * to the supervisor go over a pipe of this daemon's own, a letter and perhaps a number each. What the supervisor says
 * of an upgrade comes over another one, a line each.
 */
import { fstatSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { BETWEEN_VERSIONS } from '../kernel/between-versions.js';
import { native } from '../relay/native.js';

/** The descriptors that the daemon is started with: native/supervisor/programs.c. Where there is none, there is no socket. */
const FDS = { broker: 3, relay: 4, supervisor: 5, listener: 6, bus: 7, orders: 8 } as const;
const INCARNATION = 'PVX_INCARNATION';
const PROTOCOL = 'PVX_BETWEEN_VERSIONS';
const WATCHDOG = 'WATCHDOG_USEC';

/** The exit code of a daemon that wants a successor; C calls it EX_TEMPFAIL. */
export const EXIT_SUCCESSOR = 75;

/** Descriptors of the channels to other programs, owned by the receiver. -1: there is none. */
export interface Channels {
  readonly broker: number;
  readonly relay: number;
  /** The listener of the control socket. */
  readonly listener: number;
  readonly bus: number;
}

export interface Inheritance {
  readonly channels: Channels;
  /** 1, or one more than the daemon before it had. */
  readonly incarnation: number;
  readonly supervisor: SupervisorWords;
  /** The supervisor is of another version than this code, and its words may mean something else: a sentence. */
  readonly mismatch: string | null;
}

/**
 * What the supervisor says, in this order, once it was asked for an upgrade:
 *
 *     serving --freeze--> frozen --commit--> leaving
 *        ^                  |
 *        '------thaw--------'     refuse: there is no upgrade, and why; it may come at any time before commit
 */
export interface Orders {
  /** A new version is about to be started: nothing is attached or detached from now on. To be answered by `frozen`. */
  freeze(): void;
  /** The new version serves: leave. */
  commit(): void;
  /** The new version was given up: go on. */
  thaw(): void;
  refuse(reason: string): void;
}

/** What this process was given, if it is the daemon. Null for any other process. */
export function inherited(): Inheritance | null {
  const incarnation = Number(process.env[INCARNATION] ?? 0);
  delete process.env[INCARNATION];
  if (!(incarnation > 0)) return null;
  native.seal(); // first of all: from here on what we hold can't be taken
  const protocol = process.env[PROTOCOL];
  delete process.env[PROTOCOL];
  const { broker, relay, supervisor, listener, bus } = FDS;
  return {
    channels: { broker, relay, listener: ifSocket(listener), bus: ifSocket(bus) },
    incarnation,
    supervisor: new SupervisorWords(supervisor, ifPipe(FDS.orders)),
    mismatch: Number(protocol) === BETWEEN_VERSIONS ? null : mismatchOf(protocol),
  };
}

function mismatchOf(protocol = 'none'): string {
  return `This code is of another version than the pv-xconnect that runs: that has number ${protocol} of the protocol between versions, and this ${BETWEEN_VERSIONS}. Restart pv-xconnect.`;
}

function ifSocket(fd: number): number {
  return fstatSync(fd).isSocket() ? fd : -1;
}

/** -1: it is something else, or nothing. */
function ifPipe(fd: number): number {
  try {
    return fstatSync(fd).isFIFO() ? fd : -1;
  } catch {
    return -1;
  }
}

const LINE_MAX = 4_096;

export class SupervisorWords {
  readonly #fd: number;
  readonly #orders: number;
  /** The pid that served the runtime's socket last; 0: none yet. */
  #runtime = 0;

  /** `fd`: for what is said to it. `orders`: what it says; -1: nothing. */
  constructor(fd: number, orders = -1) {
    this.#fd = fd;
    this.#orders = orders;
  }

  /** Calls back for each of its words, from now on. To be called once. */
  hear(orders: Orders): void {
    if (this.#orders < 0) return;
    let line = '';
    const heard = new Socket({ fd: this.#orders, readable: true, writable: false });
    heard.setEncoding('utf8');
    heard.on('error', () => heard.destroy()); // it has ended, and we end with it
    heard.on('data', (text: string) => {
      const lines = (line + text).split('\n');
      line = (lines.pop() ?? '').slice(0, LINE_MAX);
      for (const one of lines) this.#obey(one, orders);
    });
    heard.unref();
  }

  /** Someone asks for the version that is installed now. */
  upgrade(): void {
    this.#say('U');
  }

  /** The answer to `freeze`. */
  frozen(): void {
    this.#say(`z${BETWEEN_VERSIONS}`);
  }

  /** The first look at the graph is over, and the control socket is served. */
  ready(): void {
    this.#say('R');
  }

  /** The graph was looked at again, as SIGHUP asked for. */
  reloaded(): void {
    this.#say('G');
  }

  /**
   * Who serves the runtime's socket: if it is an ancestor, everything ends when it does. `fd`: a connection to that
   * socket; it stays owned by the caller.
   */
  look(fd: number): void {
    const { pid = 0 } = native.socketPeer(fd) ?? {};
    if (pid <= 1 || pid === this.#runtime) return;
    this.#runtime = pid;
    this.#say(`W${pid}`);
  }

  /** From now on says that we are alive, where a service manager wants to know. */
  startWatchdog(): void {
    const microseconds = Number(process.env[WATCHDOG] ?? 0);
    if (microseconds > 0) setInterval(() => this.#say('A'), microseconds / 2_000).unref();
  }

  #obey(line: string, orders: Orders): void {
    const [word, rest] = [line[0], line.slice(1)];
    if (word === 'Z' && Number(rest) === BETWEEN_VERSIONS) orders.freeze();
    else if (word === 'Z')
      this.frozen(); // by our number it knows that there can be no upgrade, and says so
    else if (word === 'C') orders.commit();
    else if (word === 'T') orders.thaw();
    else if (word === 'X') orders.refuse(rest.trim());
  }

  /** Without waiting: what doesn't fit into the pipe, which nobody reads then, is lost. */
  #say(word: string): void {
    try {
      writeSync(this.#fd, `${word}\n`);
    } catch {
      // EAGAIN, or EPIPE: it ends, and we end with it.
    }
  }
}
