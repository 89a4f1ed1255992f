/** The real xdg-dbus-proxy, as Flatpak starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { eventually } from '../wait.js';

/** Listens at `path` for whoever may get there; ends with the test's process, or by `kill`. */
export async function startDbusProxy(
  bus: string,
  path: string,
  rules: readonly string[],
): Promise<ChildProcess> {
  const argv = [`unix:path=${bus}`, path, '--filter', ...rules];
  const child = spawn('xdg-dbus-proxy', argv, { stdio: ['ignore', 'inherit', 'inherit'] });
  await eventually(() => {
    if (!existsSync(path)) throw new Error('xdg-dbus-proxy does not listen');
  });
  chmodSync(path, 0o666);
  return child;
}
