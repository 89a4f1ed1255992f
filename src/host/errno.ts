/**
 * What an errno of the broker means to a person: a code of the closed list and one sentence.
 * Pure; one table for each thing that was tried.
 */
import { endpointOf } from '../graph/endpoint.js';
import { EXTERNAL, type Link, notRunningText } from '../graph/link.js';
import type { ErrorCode, LinkError } from '../kernel/errors.js';
import { type Attempt, failed } from '../kernel/result.js';

const GONE: Readonly<Record<string, ErrorCode>> = {
  ESRCH: 'container-gone',
  ESTALE: 'container-gone',
  EBADF: 'container-gone',
};

/** Of TCP: its network is not up yet, its queue is full, it broke off, or our ports are all in use. */
const UNREACHED = ['ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EADDRNOTAVAIL'];

const COMMON: Readonly<Record<string, ErrorCode>> = {
  EMFILE: 'limit-reached',
  ENFILE: 'limit-reached',
  ENOMEM: 'limit-reached',
  ENOBUFS: 'limit-reached',
  EBUSY: 'limit-reached',
  EPERM: 'permission-denied',
  EPIPE: 'broker-lost',
};

const HOLD: Readonly<Record<string, ErrorCode>> = { ...COMMON, ...GONE, EXDEV: 'not-a-container' };

const LISTEN: Readonly<Record<string, ErrorCode>> = {
  ...COMMON,
  ...GONE,
  EEXIST: 'target-occupied',
  EADDRINUSE: 'target-occupied',
  EXDEV: 'target-on-host',
  EROFS: 'target-read-only',
  EINVAL: 'target-invalid',
  ENAMETOOLONG: 'target-invalid',
  ENOENT: 'target-unreachable',
  ENOTDIR: 'target-unreachable',
  ELOOP: 'target-unreachable',
  EACCES: 'target-unreachable',
  ENOSPC: 'limit-reached',
  ENOLINK: 'network-closed',
};

const CONNECT: Readonly<Record<string, ErrorCode>> = {
  ...COMMON,
  ESRCH: 'provider-not-running',
  ESTALE: 'provider-not-running',
  EBADF: 'provider-not-running',
  ENOENT: 'provider-socket-missing',
  ENOTDIR: 'provider-socket-missing',
  ELOOP: 'provider-socket-missing',
  EINVAL: 'provider-socket-missing',
  ENOTSOCK: 'provider-not-a-socket',
  ECONNREFUSED: 'provider-refused',
  EAGAIN: 'provider-refused',
  EACCES: 'provider-refused',
  EPROTOTYPE: 'provider-refused',
  EDEADLK: 'provider-loop',
  EXDEV: 'not-a-container',
  ENOLINK: 'network-closed',
};

const BIND: Readonly<Record<string, ErrorCode>> = {
  ...COMMON,
  ...GONE,
  EADDRINUSE: 'target-occupied',
  EADDRNOTAVAIL: 'target-unreachable',
  EAFNOSUPPORT: 'target-unreachable',
  EINVAL: 'target-invalid',
  EACCES: 'permission-denied',
  ENOLINK: 'network-closed',
};

const BUS: Readonly<Record<string, ErrorCode>> = {
  ...COMMON,
  ENOENT: 'bus-away',
  ECONNREFUSED: 'bus-away',
  EAGAIN: 'bus-away',
  ENOTSOCK: 'bus-away',
  EDEADLK: 'provider-loop',
  ERANGE: 'bus-uid',
  EACCES: 'permission-denied',
};

const DEVICE: Readonly<Record<string, [ErrorCode, string]>> = {
  ENOENT: ['device-missing', 'it is not there'],
  ENOTDIR: ['device-missing', "it can't be reached inside the container (ENOTDIR)"],
  ELOOP: ['device-missing', "it can't be reached inside the container (ELOOP)"],
  EINVAL: ['device-missing', 'it is no absolute path without ".." of at most 1024 bytes'],
  ENXIO: ['device-missing', 'there is no device behind it'],
  ENODEV: ['device-missing', 'there is no device behind it'],
  ENOTTY: ['device-wrong', 'it is no character device'],
  EPROTOTYPE: ['device-wrong', 'it is a device of another kind'],
  EBUSY: ['device-busy', 'somebody else is master of the card, or leases the same'],
  EACCES: ['device-wrong', "it is in a file system in which devices can't be opened"],
};

/** What belongs to a container is its own root, and what is mounted over the host's for it alone. */
const HOSTS_OWN =
  "that is the host's own file, for the container has the host's root and nothing mounted over it there";
const LEADS_BACK = 'it leads back to this link, so that no connection would ever end somewhere';
const NETWORK_CLOSED =
  'it has a network of its own, which could not be left again: without root on the host only containers in the ' +
  "host's network can be served there";

/** The provider may mend these by itself by starting to listen; the others need a person. */
const NOT_THERE_YET = new Set([
  ...['ENOENT', 'ECONNREFUSED', 'EAGAIN', 'ESRCH', 'ESTALE', 'EBADF'],
  ...UNREACHED,
]);

export function isNotThereYet(errno: string): boolean {
  return NOT_THERE_YET.has(errno);
}

export function holdError(container: string, pid: number, errno: string): LinkError {
  const code = HOLD[errno] ?? 'broker-failed';
  const found =
    code === 'not-a-container'
      ? `pid ${pid} lives in the host's own mount namespace, a container of its own was expected`
      : code === 'container-gone'
        ? `pid ${pid} is gone or was given to another process since the graph named it`
        : `pid ${pid} could not be entered (${errno})`;
  return { code, message: `Container ${container}: ${found}.` };
}

/** `known`: the container's name or id as its cgroups have it. */
export function strangerError(container: string, pid: number, known: string): LinkError {
  const message =
    `Container ${container}: pid ${pid} is in the container ${known} by its cgroup, so it was given to another ` +
    'process since the runtime named it.';
  return { code: 'container-gone', message };
}

/** The runtime goes on naming the pid of a container that has ended. */
export function endedError(container: string, pid: number): LinkError {
  const message =
    `Container ${container}: pid ${pid} has ended before, and whoever has that number by now is another process; ` +
    'another pid was expected of the runtime.';
  return { code: 'container-gone', message };
}

/** Where the target is a path. */
export function listenError(link: Pick<Link, 'target' | 'consumer'>, errno: string): LinkError {
  const code = LISTEN[errno] ?? 'broker-failed';
  const found: Partial<Record<ErrorCode, string>> = {
    'target-occupied':
      errno === 'EEXIST'
        ? 'something that is no socket is there, and was left untouched'
        : 'another process listens there, and was left untouched',
    'target-on-host': "that path is on the host's own file system, not the container's",
    'target-read-only': 'the file system there is read-only',
    'target-invalid': 'it is no absolute path without ".." of at most 1024 bytes',
    'target-unreachable': `the way to it inside the container is broken (${errno})`,
    'container-gone': 'the container is gone',
    'network-closed': NETWORK_CLOSED,
  };
  return {
    code,
    message: `No socket at ${link.target} in ${link.consumer}: ${found[code] ?? errno}.`,
  };
}

/** Of a target that was made, and that the consumer sees no longer. */
export function lostError({ target, consumer }: Link): LinkError {
  const message = `${target} in ${consumer} was removed or covered since it was made: it is made anew.`;
  return { code: 'target-lost', message };
}

/** Where the target is an address. */
export function bindError(link: Link, errno: string): LinkError {
  const code = BIND[errno] ?? 'broker-failed';
  const where = link.consumer === EXTERNAL ? 'the host' : link.consumer;
  const found: Partial<Record<ErrorCode, string>> = {
    'target-occupied': 'another process, or another link, listens there',
    'target-unreachable':
      errno === 'EADDRNOTAVAIL' ? 'no interface there has that address' : 'there is no IPv6 there',
    'target-invalid': 'it is no IP:PORT',
    'network-closed': NETWORK_CLOSED,
    'permission-denied': 'the kernel does not let us have that port',
    'container-gone': 'the container is gone',
  };
  return { code, message: `No listener at ${link.target} in ${where}: ${found[code] ?? errno}.` };
}

/** `name`: of a file in the host's folder of certificates. */
export function certificateError(name: string, errno: string): LinkError {
  const found: Readonly<Record<string, string>> = {
    ENOENT: 'it is not there',
    EINVAL: 'it is no regular file',
    EFBIG: 'it has more than 64 KiB',
  };
  const message = `${name} of the folder of certificates can't be read: ${found[errno] ?? errno}.`;
  return { code: 'certificate-invalid', message };
}

/** Of a provider without a process. */
export function notRunning({ provider, providerEnd }: Link): LinkError {
  return { code: 'provider-not-running', message: notRunningText(provider, providerEnd) };
}

/** Of the provider's socket, a path or an address. `errno`: EDEADLK where it leads back to the link. */
export function connectError(link: Link, errno: string): LinkError {
  if ('address' in endpointOf(link.socket)) return tcpError(link, errno);
  const code = CONNECT[errno] ?? 'broker-failed';
  const found: Partial<Record<ErrorCode, string>> = {
    'provider-not-running': 'the container is not running',
    'provider-socket-missing':
      errno === 'ENOENT'
        ? 'it does not exist yet'
        : `it can't be reached inside the container (${errno})`,
    'provider-not-a-socket': 'it is no socket',
    'provider-loop': LEADS_BACK,
    'provider-refused':
      errno === 'EACCES'
        ? `it does not let role ${link.role} in`
        : errno === 'EPROTOTYPE'
          ? 'it is a socket of another mode'
          : 'nobody accepts connections on it',
    'not-a-container': HOSTS_OWN,
    'network-closed': NETWORK_CLOSED,
  };
  return { code, message: `${link.socket} in ${link.provider}: ${found[code] ?? errno}.` };
}

/** Of the provider's /etc/passwd. The host's own users say nothing about a container: a role is none of them. */
export function identityError(provider: string, role: string, errno: string): LinkError {
  const why = errno === 'EXDEV' ? HOSTS_OWN : errno;
  const message = `/etc/passwd of ${provider} can't be read (${why}), so role ${role} has no uid.`;
  return { code: 'identity-unknown', message };
}

function tcpError(link: Link, errno: string): LinkError {
  const [code, what] = tcpFault(errno);
  return { code, message: `${link.socket} in ${link.provider}: ${what}.` };
}

function tcpFault(errno: string): [ErrorCode, string] {
  if (errno === 'ECONNREFUSED') return ['provider-socket-missing', 'nobody listens there yet'];
  if (UNREACHED.includes(errno)) {
    return ['provider-refused', `it can't be reached from within the container (${errno})`];
  }
  if (errno === 'EDEADLK') return ['provider-loop', LEADS_BACK];
  if (errno === 'ENOLINK') return ['network-closed', NETWORK_CLOSED];
  if (errno in GONE) return ['provider-not-running', 'the container is not running'];
  return [COMMON[errno] ?? 'broker-failed', errno];
}

/** The runtime's own bus, of the host. */
export function busError({ socket, uid, role }: Link, errno: string): LinkError {
  const code = BUS[errno] ?? 'broker-failed';
  const found: Partial<Record<ErrorCode, string>> = {
    'bus-away': errno === 'ENOENT' ? 'it is not there yet' : 'nobody accepts connections on it now',
    'provider-loop': LEADS_BACK,
    'bus-uid': `the uid ${uid} of role ${role} is outside the range that roles have here`,
    'permission-denied': `no connection can be made as the uid ${uid} of role ${role}`,
  };
  return { code, message: `The hosted bus at ${socket}: ${found[code] ?? errno}.` };
}

/** Of the provider's device, as it was looked for at `path` or opened. */
export function deviceError(link: Link, path: string, errno: string): LinkError {
  const [code, found] = DEVICE[errno] ?? [];
  if (code === undefined) return connectError(link, errno);
  const expected = `${link.type === 'input' ? 'an' : 'a'} ${link.type} device`;
  return { code, message: `${path} in ${link.provider}: ${found}, ${expected} was expected.` };
}

/** Of a look into the container, where EBUSY is about the container and not about the device. */
export function deviceMissing(
  link: Link,
  path: string,
  errno: string,
  waits = isNotThereYet(errno),
): Attempt<never> {
  if (errno === 'EBUSY') return { ...failed(connectError(link, errno)), waits: true };
  return { ...failed(deviceError(link, path, errno)), waits };
}

/** Of a node that could not be planted. */
export function plantError(link: Link, errno: string): LinkError {
  const { code, message } = listenError(link, errno);
  if (errno === 'EEXIST') {
    const found = 'something else than that device is there, and was left untouched';
    return { code, message: `No device at ${link.target} in ${link.consumer}: ${found}.` };
  }
  return { code, message: message.replace(/^No socket at/, 'No device at') };
}
