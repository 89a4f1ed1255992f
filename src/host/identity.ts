/**
 * Who a consumer is to its provider: role to uid and gid, from the provider's own /etc/passwd (passwd(5)).
 * Pure; the file is read elsewhere, inside the provider's root and bounded there.
 */
import type { Link } from '../graph/link.js';
import type { Identity } from '../plugins/plugin.js';

export type { Identity } from '../plugins/plugin.js';

const ROOT: Identity = { uid: 0, gid: 0 };
const NOBODY: Identity = { uid: 65534, gid: 65534 };
/** (uid_t) -1 means "unchanged" to the kernel: no identity. */
const UID_MAX = 0xffff_fffe;

/** The identity that needs no look into passwd, else null. */
export function fixedIdentity(link: Pick<Link, 'role' | 'uid' | 'type'>): Identity | null {
  if (link.uid !== undefined) return { uid: link.uid, gid: link.uid };
  if (link.role === 'any') return unknownIdentity(link.type);
  return null;
}

/**
 * The identity of a role. A numeric role is its own uid, with the gid of that uid's line where there is
 * one; a role that passwd does not know is root on a unix link, as existing providers expect, and nobody
 * on a bus.
 */
export function resolveIdentity(role: string, type: string, passwd: string): Identity {
  const numeric = parseId(role);
  for (const line of passwd.split('\n')) {
    const fields = line.split(':');
    if (fields.length < 4) continue;
    const uid = parseId(fields[2] as string);
    const gid = parseId(fields[3] as string);
    if (uid === null || gid === null) continue;
    if (numeric === null ? fields[0] === role : uid === numeric) return { uid, gid };
  }
  return numeric === null ? unknownIdentity(type) : { uid: numeric, gid: numeric };
}

function unknownIdentity(type: string): Identity {
  return type === 'dbus' ? NOBODY : ROOT;
}

/** Plain digits only: no sign, no space, no hexadecimal. */
function parseId(text: string): number | null {
  if (!/^\d{1,10}$/.test(text)) return null;
  const id = Number(text);
  return id <= UID_MAX ? id : null;
}
