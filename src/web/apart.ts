/**
 * A server in a process of its own, about a daemon whose control socket it can't reach. Two processes:
 *
 *     clients --HTTP--> server --asks--> opener --connects--> the daemon's control socket
 *                         ^                                        |
 *                         '---------- the answer itself -----------'
 *
 * The server is started as a user of its own from its first instruction on. This process is the opener: it listens,
 * starts the server, then gives up root too where the control socket lets its group in, and from then on does nothing but
 * what opener.ts has.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import net, { type AddressInfo, type Server } from 'node:net';
import { hostname } from 'node:os';
import type { Got } from '../cli/control-client.js';
import type { Output } from '../cli/output.js';
import { printable } from '../manifest/text.js';
import { native } from '../relay/native.js';
import { authorityOf, isLoopback, type ListenAddress, type ServerWord } from './address.js';
import { type Identities, identitiesFor } from './identity.js';
import { type Opened, Opener, type Readable } from './opener.js';

export interface ApartOptions {
  /** The daemon's control socket. */
  readonly control: string;
  readonly listen: ListenAddress;
  /** The word by which the server is started. */
  readonly word: ServerWord;
  /** What is served, for messages. */
  readonly what: string;
  /** What it may ask for. */
  readonly readable: readonly Readable[];
  /** Whoever has it may look; null: everybody. */
  readonly token: string | null;
  /** The sentence that says where it is served. */
  readonly at: (authority: string) => string;
  /** What to consider where others than this machine reach it. */
  readonly warning: string;
}

/** The first message to the server; the listener comes with it. */
export interface Start {
  readonly start: {
    readonly token: string | null;
    readonly port: number;
    /** It is reached from this machine alone. */
    readonly isLoopback: boolean;
    /** Names of this machine, under which it may be asked. */
    readonly names: readonly string[];
  };
}

/** Runs until a signal. Exit code: 0 after one; 1 if it can't be served. */
export async function serveApart(
  options: ApartOptions,
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const fail = (sentence: string) => {
    stderr.write(`pv-xconnect: ${printable(sentence)}\n`);
    return 1;
  };
  const { word, what, token } = options;
  const listening = await listen(options.listen, what);
  if (!listening.ok) return fail(listening.error);
  const { port } = listening.value.address() as AddressInfo;
  const identities = process.geteuid?.() === 0 ? identitiesFor(process.pid, uidMap()) : null;
  const server = startServer(word, identities);
  const ended = new Promise<number>((resolve) => {
    server.once('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1)));
    server.once('error', () => resolve(1));
  });
  const opener = new Opener(options.control, options.readable, (opened, socket) => {
    if (!server.connected) socket?.destroy();
    else server.send(opened satisfies Opened, socket, () => undefined);
  });
  const serving = new Promise<boolean>((resolve) => {
    server.on('message', (message) => {
      if (message === 'serving') resolve(true);
      else opener.receive(message);
    });
    void ended.then(() => resolve(false));
  });
  let stopped = false;
  const stop = () => {
    stopped = true;
    if (server.connected) server.disconnect();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop);

  const names = [hostname(), `${hostname().split('.')[0]}.local`];
  const reached = { ...options.listen, port };
  const isOurs = isLoopback(reached);
  const start: Start = { start: { token, port, isLoopback: isOurs, names } };
  server.send(start, listening.value, () => listening.value.close());
  if (identities) giveUpRoot(identities.opener, options.control);
  native.noNewPrivileges();
  if (await serving) {
    stdout.write(`${options.at(authorityOf(reached))}\n`);
    if (!isOurs) stderr.write(`pv-xconnect: ${options.warning}\n`);
  }
  const code = await ended;
  if (stopped) return 0;
  return fail(`The server of ${what} has ended (${code}): its last words are above.`);
}

function listen({ host, port }: ListenAddress, what: string): Promise<Got<Server>> {
  return new Promise((resolve) => {
    const server = net.createServer({ pauseOnConnect: true });
    server.once('error', ({ code }: NodeJS.ErrnoException) => {
      const why =
        code === 'EADDRINUSE'
          ? 'something listens there already: choose another port'
          : code === 'EADDRNOTAVAIL'
            ? 'no interface of this machine has that address'
            : code === 'EACCES'
              ? 'only root may: choose a port above 1023'
              : code;
      resolve({
        ok: false,
        error: `${what.replace(/^t/, 'T')} can not be served at ${host}:${port}: ${why}.`,
      });
    });
    server.listen({ host, port }, () => resolve({ ok: true, value: server }));
  });
}

function uidMap(): string {
  try {
    return readFileSync('/proc/self/uid_map', 'utf8');
  } catch {
    return '0 0 4294967295'; // no user namespaces in this kernel
  }
}

/** It is given no descriptor but the standard ones and the channel to here, and nothing of the environment but that. */
function startServer(word: ServerWord, identities: Identities | null): ChildProcess {
  const { PATH, LANG, TZ } = process.env;
  return fork(process.argv[1] as string, [word], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...(PATH && { PATH }), ...(LANG && { LANG }), ...(TZ && { TZ }) },
    execArgv: [],
    cwd: '/',
    ...(identities && { uid: identities.server, gid: identities.server }),
  });
}

/**
 * Becomes that user, for good, and keeps the group by which the control socket can be reached. Where only root can
 * reach it (its folder is closed to others, say), this stays root.
 */
function giveUpRoot(uid: number, control: string): void {
  const group = groupThatReaches(uid, control);
  if (group === null) return;
  process.setgroups?.([]);
  process.setgid?.(group);
  process.setuid?.(uid);
}

/** Null: none. A socket that is not there yet will have our own group, as its maker has. */
function groupThatReaches(uid: number, control: string): number | null {
  const own = process.getgid?.() ?? 0;
  process.seteuid?.(uid);
  try {
    const { mode, gid } = statSync(control);
    return (mode & 0o060) === 0o060 ? gid : null;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'ENOENT' ? own : null;
  } finally {
    process.seteuid?.(0);
  }
}
