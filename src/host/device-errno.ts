/** What an errno of the broker's device operations means to a person, as errno.ts does for sockets. Pure. */
import type { Link } from '../graph/link.js';
import type { ErrorCode, LinkError } from '../kernel/errors.js';
import type { Seen } from '../plugins/plugin.js';
import { connectError, isNotThereYet, listenError } from './errno.js';

const FOUND: Readonly<Record<string, [ErrorCode, string]>> = {
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

/** Of the provider's device, as it was looked for at `path` or opened. */
export function deviceError(link: Link, path: string, errno: string): LinkError {
  const [code, found] = FOUND[errno] ?? [];
  if (code === undefined) return connectError(link, errno);
  const expected = `${link.type === 'input' ? 'an' : 'a'} ${link.type} device`;
  return { code, message: `${path} in ${link.provider}: ${found}, ${expected} was expected.` };
}

/** Of a look into the container, where EBUSY is about the container and not about the device. */
export function deviceSeen(
  link: Link,
  path: string,
  errno: string,
  waits = isNotThereYet(errno),
): Seen {
  if (errno === 'EBUSY') return { error: connectError(link, errno), waits: true };
  return { error: deviceError(link, path, errno), waits };
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
