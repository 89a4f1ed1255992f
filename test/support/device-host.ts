/**
 * The host as a daemon sees it, with devices of the test's making: a mount namespace of that daemon's own, in which
 * /dev and /sys/class/input are empty file systems to begin with. Nodes in there are real ones with the real
 * numbers, but there is no driver behind them, though /sys/dev/char says so of all that tests make nodes for. Nothing
 * of it is seen by anyone else.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/relay/native.js';
import type { TestDaemon } from './daemon.js';

/** The kernel has a driver for all that tests make nodes for. */
const DRIVERS = `
set -e
mount -t tmpfs -o mode=0755 tmpfs /sys/dev/char
cd /sys/dev/char
for major in 1 10 13 226; do mkdir -m 0755 $(seq -f $major:%g 0 255); done
cd /`;
const REST = `
[ -z "$1" ] || mount --bind "$1" "$2"
shift 2
exec "$@"`;
const SCRIPT = `${DRIVERS}
mount -t tmpfs -o mode=0755 tmpfs /sys/class/input
mount -t tmpfs -o mode=0755 tmpfs /dev
mkdir -m 0755 /dev/dri /dev/input /dev/net
umask 0
mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; mknod -m 666 /dev/full c 1 7
mknod -m 666 /dev/urandom c 1 9; mknod -m 666 /dev/net/tun c 10 200
umask 022${REST}`;

const REAL_BROKER = `${PACKAGE_ROOT}build/Release/pvx-broker`;
const NAMESPACE = ['unshare', '--mount', '--propagation', 'private'];

export interface InputIdentity {
  readonly name: string;
  readonly phys: string;
  readonly vendor: string;
  readonly product: string;
}

/** For TestDaemonOptions. `broker`: a program that takes the place of the real one. */
export function onDeviceHost(broker = ''): readonly string[] {
  return [...NAMESPACE, 'sh', '-c', SCRIPT, 'sh', broker, REAL_BROKER];
}

/** The same for a runtime, which needs the other devices of the host as they are: the drivers alone. */
export function withDrivers(broker = ''): readonly string[] {
  return [...NAMESPACE, 'sh', '-c', `${DRIVERS}${REST}`, 'sh', broker, REAL_BROKER];
}

/** What can be plugged into the host of that daemon. */
export class DeviceHost {
  readonly #daemon: TestDaemon;

  constructor(daemon: TestDaemon) {
    this.#daemon = daemon;
  }

  /** Of a path on that host. */
  path(path: string): string {
    return join(`/proc/${this.#daemon.pid}/root`, path);
  }

  mknod(path: string, major: number, minor: number, mode = '660'): void {
    const at = this.path(path);
    execFileSync('mknod', ['-m', mode, at, 'c', String(major), String(minor)]);
  }

  remove(path: string): void {
    rmSync(this.path(path), { recursive: true, force: true });
  }

  /** As the kernel does: first in sysfs, then the node. */
  plugInput(number: number, { name, phys, vendor, product }: InputIdentity): void {
    const folder = this.path(`/sys/class/input/event${number}`);
    mkdirSync(join(folder, 'device/id'), { recursive: true });
    const files = { dev: `13:${64 + number}`, 'device/name': name, 'device/phys': phys };
    const ids = { 'device/id/vendor': vendor, 'device/id/product': product };
    for (const [file, text] of Object.entries({ ...files, ...ids })) {
      writeFileSync(join(folder, file), `${text}\n`);
    }
    this.mknod(`/dev/input/event${number}`, 13, 64 + number);
  }

  /** Whether the kernel has a device of these numbers. */
  setDriven(numbers: string, driven: boolean): void {
    const at = this.path(`/sys/dev/char/${numbers}`);
    if (driven) mkdirSync(at, { recursive: true });
    else rmSync(at, { recursive: true, force: true });
  }

  unplugInput(number: number): void {
    this.remove(`/dev/input/event${number}`);
    this.remove(`/sys/class/input/event${number}`);
  }
}
