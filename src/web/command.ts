/**
 * `pv-xconnect web`: a page that shows the mesh as it is now. Two processes besides the daemon, which serves no page:
 *
 *     browsers --HTTP--> server --asks--> opener --connects--> the daemon's control socket
 *                          ^                                        |
 *                          '---------- the answer itself -----------'
 *
 * The server (server-process.ts) is started as a user of its own from its first instruction on, with no way to the
 * control socket. This process is the opener: it listens, starts the server, then gives up root too where the control
 * socket lets its group in, and from then on does nothing but what opener.ts has.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import net, { type AddressInfo, type Server } from 'node:net';
import { hostname } from 'node:os';
import type { Got } from '../cli/control-client.js';
import type { Output } from '../cli/output.js';
import { printable } from '../manifest/text.js';
import { native } from '../relay/native.js';
import { authorityOf, isLoopback, type ListenAddress, PAGE_SERVER } from './address.js';
import { type Identities, identitiesFor } from './identity.js';
import { type Opened, Opener } from './opener.js';

export interface WebOptions {
  /** The daemon's control socket. */
  readonly control: string;
  readonly listen: ListenAddress;
}

/** The first message to the server; the listener comes with it. */
export interface Start {
  readonly start: {
    readonly token: string;
    readonly port: number;
    /** Names of this machine, under which the page may be asked for. */
    readonly names: readonly string[];
  };
}

/** Exit code: 0 after a signal; 1 if the page can't be served. */
export async function webCommand(
  options: WebOptions,
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const fail = (sentence: string) => {
    stderr.write(`pv-xconnect: ${printable(sentence)}\n`);
    return 1;
  };
  const listening = await listen(options.listen);
  if (!listening.ok) return fail(listening.error);
  const { port } = listening.value.address() as AddressInfo;
  const token = randomBytes(24).toString('base64url');
  const identities = process.geteuid?.() === 0 ? identitiesFor(process.pid, uidMap()) : null;
  const server = startServer(identities);
  const ended = new Promise<number>((resolve) => {
    server.once('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1)));
    server.once('error', () => resolve(1));
  });
  const opener = new Opener(options.control, (opened, socket) => {
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
  const start: Start = { start: { token, port, names } };
  server.send(start, listening.value, () => listening.value.close());
  if (identities) giveUpRoot(identities.opener, options.control);
  native.noNewPrivileges();
  if (await serving) {
    const reached = { ...options.listen, port };
    stdout.write(`The page is at http://${authorityOf(reached)}/?token=${token}\n`);
    if (!isLoopback(reached)) {
      stderr.write(
        'pv-xconnect: whoever can read along on the network sees the token and the page: it is HTTP without TLS.\n',
      );
    }
  }
  const code = await ended;
  if (stopped) return 0;
  return fail(`The server of the page has ended (${code}): its last words are above.`);
}

function listen({ host, port }: ListenAddress): Promise<Got<Server>> {
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
      resolve({ ok: false, error: `The page can not be served at ${host}:${port}: ${why}.` });
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
function startServer(identities: Identities | null): ChildProcess {
  const { PATH, LANG, TZ } = process.env;
  return fork(process.argv[1] as string, [PAGE_SERVER], {
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
