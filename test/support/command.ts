/** A command of pv-xconnect about a running daemon, as a person gives it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { PACKAGE_ROOT } from '../../src/relay/native.js';
import { endOf } from './processes.js';

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

/** One that runs until somebody ends it. */
export class RunningCommand {
  out = '';
  err = '';
  readonly child: ChildProcess;

  constructor(control: string, ...args: readonly string[]) {
    const argv = [...args, '--control', control];
    this.child = spawn(`${PACKAGE_ROOT}/bin/pv-xconnect`, argv, {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (text) => {
      this.out += text;
    });
    this.child.stderr?.on('data', (text) => {
      this.err += text;
    });
  }

  /** By Ctrl-C. */
  async end(): Promise<number | NodeJS.Signals> {
    this.child.kill('SIGINT');
    return endOf(this.child);
  }
}
