/** A command of pv-xconnect about a running daemon, as a person gives it. */
import { execFile } from 'node:child_process';
import { PACKAGE_ROOT } from '../../src/relay/native.js';

export interface Told {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `control`: the daemon's control socket. */
export function commandOf(control: string, ...args: string[]): Promise<Told> {
  return new Promise((resolve) => {
    const argv = [...args, '--control', control];
    execFile(`${PACKAGE_ROOT}/bin/pv-xconnect`, argv, (error, out, err) => {
      resolve({ code: error ? Number(error.code) : 0, out, err });
    });
  });
}
