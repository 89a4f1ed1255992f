/** The far end: a container, a dbus-daemon that listens in it, and a service on that bus. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { contain, execArgv, serveBus } from '../load.js';
import { Task } from '../task.js';

const PATIENCE_MS = 5_000;

/** Whatever a bus may forbid, this one allows. */
function config(path: string): string {
  return `<busconfig><listen>unix:path=${path}</listen><policy context="default"><allow user="*"/>
<allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
<limit name="max_replies_per_connection">1024</limit></busconfig>`;
}

export interface Bus {
  readonly provider: number;
  /** Of its socket `bus`. */
  readonly folder: string;
  stop(): Promise<void>;
}

/** `folder`: for what has to be written. */
export async function startBus(folder: string): Promise<Bus> {
  const container = await contain();
  const at = `/proc/${container.pid}/root/run`;
  const file = join(folder, 'bus.conf');
  writeFileSync(file, config(`${at}/bus`));
  const daemon = new Task(execArgv(['dbus-daemon', `--config-file=${file}`, '--nofork']), {
    log: join(folder, 'bus.log'),
  });
  const deadline = Date.now() + PATIENCE_MS;
  while (!existsSync(`${at}/bus`)) {
    if (Date.now() > deadline) throw new Error(`dbus-daemon does not listen: ${daemon.output()}`);
    await sleep(20);
  }
  const service = await serveBus(at, 'bus');
  return {
    provider: container.pid,
    folder: at,
    stop: async () => {
      for (const task of [service, daemon, container]) await task.stop();
      rmSync(file, { force: true });
    },
  };
}
