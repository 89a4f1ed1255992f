/**
 * Entry of pv-xconnect: the command line, or, executed anew by `launch`, the daemon. Exit codes and nothing else.
 */
import { type Inheritance, inherited } from './broker/launch.js';
import type { DaemonOptions } from './daemon.js';
import { report } from './kernel/errors.js';

async function runDaemon({ options, channels }: Inheritance<DaemonOptions>): Promise<number> {
  try {
    const { Daemon } = await import('./daemon.js');
    return await new Daemon(options).run(channels);
  } catch (thrown) {
    return report(thrown, options.logLevel === 'debug');
  }
}

const daemon = inherited<DaemonOptions>();
if (daemon) {
  const code = await runDaemon(daemon);
  const { reaped } = await import('./broker/relatives.js');
  await reaped(daemon.children);
  // Threads and sockets of a daemon that is done must not keep its process.
  process.exit(code);
}
const { runCommandLine } = await import('./command-line.js');
process.exitCode = await runCommandLine();
