/** Entry of the daemon's bundle. Exit codes and nothing else. */
import { type Inheritance, inherited } from './broker/supervisor.js';
import { Daemon } from './daemon.js';
import { daemonOptions } from './daemon-options.js';
import { report } from './kernel/errors.js';
import { importModule } from './kernel/import-module.js';

async function runDaemon(inheritance: Inheritance): Promise<number> {
  const options = daemonOptions(process.argv.slice(2), process.env);
  if (!options) {
    const commands = await importModule(new URL('commands.js', import.meta.url).href);
    return (commands as typeof import('./command-line.js')).runCommandLine(); // says what is wrong
  }
  try {
    return await new Daemon(options).run(inheritance);
  } catch (thrown) {
    return report(thrown, options.logLevel === 'debug');
  }
}

const inheritance = inherited();
if (!inheritance) throw new Error('The daemon is started by pv-xconnect alone.');
// Threads and sockets of a daemon that is done must not keep its process.
void runDaemon(inheritance).then((code) => process.exit(code));
