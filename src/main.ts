/**
 * Entry of what runs in Node.js: the daemon, where the supervisor started it as that, or the command line. Exit codes
 * and nothing else.
 */
import { type Inheritance, inherited } from './broker/supervisor.js';
import { report } from './kernel/errors.js';

async function runDaemon(inheritance: Inheritance): Promise<number> {
  const [{ Daemon }, { daemonOptions }] = await Promise.all([
    import('./daemon.js'),
    import('./daemon-options.js'),
  ]);
  const options = daemonOptions(process.argv.slice(2), process.env);
  if (!options) return runCommands(); // says what is wrong
  try {
    return await new Daemon(options).run(inheritance);
  } catch (thrown) {
    return report(thrown, options.logLevel === 'debug');
  }
}

async function runCommands(): Promise<number> {
  const { runCommandLine } = await import('./command-line.js');
  return runCommandLine();
}

const inheritance = inherited();
if (inheritance) {
  const code = await runDaemon(inheritance);
  // Threads and sockets of a daemon that is done must not keep its process.
  process.exit(code);
}
process.exitCode = await runCommands();
