/** Where pv-appengine keeps what it has for an ordinary user who runs it, and with it that user's own daemon. */
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface UserPlaces {
  readonly storage: string;
  readonly pvCtrl: string;
  /** The daemon's control socket. */
  readonly control: string;
}

/** By the variables of the XDG Base Directory Specification, or below the home folder. */
export function userPlaces(env: NodeJS.ProcessEnv = process.env): UserPlaces {
  const state = env.XDG_STATE_HOME || join(homedir(), '.local/state');
  const storage = join(state, 'pv-appengine');
  const sockets = join(env.XDG_RUNTIME_DIR || storage, 'pv-appengine');
  return { storage, pvCtrl: join(sockets, 'pv-ctrl'), control: join(sockets, 'control.sock') };
}
