/**
 * The command line of pv-appengine: argv to calls, results to exit codes, and nothing else.
 * Exit 0: ended as asked. 1: failure. 2: wrong usage. Errors are one sentence on standard error.
 */
import { join, resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { busPlaces, DEFAULT_UIDS } from '../bus/program.js';
import { XConnectError } from '../kernel/errors.js';
import { LOG_LEVELS } from '../kernel/log.js';
import { packageVersion } from '../kernel/package-version.js';
import { StandardOutput } from '../kernel/standard-output.js';
import { userPlaces } from '../kernel/user-places.js';
import { problemText } from '../manifest/problem.js';
import { readRevisions } from '../manifest/reader.js';
import { printable, printableJson } from '../manifest/text.js';
import { vocabularyWith } from '../plugins/vocabulary.js';
import { native, PACKAGE_ROOT } from '../relay/native.js';
import { AppEngine } from './appengine.js';
import type { ConfiguredValue } from './config.js';
import { LxcEngine } from './engines/lxc/lxc-engine.js';
import { missingTools, NamespaceEngine } from './engines/namespace/namespace-engine.js';
import { pack } from './pack/pack.js';
import { isRootless, mustRunAnew, obstacle, ROOTLESS, type Rootless, runAnew } from './rootless.js';

interface Flags {
  readonly storage: string;
  readonly pvCtrl: string;
  readonly control: string;
  readonly rootless: Rootless;
  readonly logLevel: string;
  readonly daemon: boolean;
  readonly plugin: readonly string[];
  readonly allowMount: readonly string[];
  readonly unpack: boolean;
  readonly watch: boolean;
}

/** The defaults of the options that are paths: for root those of the system, for a user the user's own. */
function defaults() {
  if (process.geteuid?.() === 0 && !isRootless()) {
    return {
      storage: '/var/lib/pv-appengine',
      pvCtrl: '/run/pantavisor/pv/pv-ctrl',
      control: '/run/pv-xconnect/control.sock',
    };
  }
  return userPlaces();
}

async function run(revisions: string[], flags: Flags): Promise<number> {
  const fault = missingTools() ?? obstacle(flags.rootless);
  if (fault) return fail(fault);
  if (mustRunAnew(flags.rootless)) return runAnew();
  const pvCtrl = resolve(flags.pvCtrl);
  const daemon = [`${PACKAGE_ROOT}/bin/pv-xconnect`, '--pv-ctrl', pvCtrl];
  daemon.push('--control', resolve(flags.control), '--log-level', flags.logLevel);
  const bus = {
    places: busPlaces(resolve(flags.control), resolve(flags.storage)),
    uids: DEFAULT_UIDS,
  };
  for (const module of flags.plugin) daemon.push('--plugin', module);
  daemon.push('--bus', bus.places.socket, '--bus-uids', `${bus.uids.first}-${bus.uids.last}`);
  const allowed = flags.allowMount.map((path) => resolve(path));
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const engine = new AppEngine({
    revisions: revisions.map((path) => resolve(path)),
    storage: resolve(flags.storage),
    pvCtrl,
    bus,
    daemon: flags.daemon ? daemon : null,
    version: packageVersion(),
    vocabulary: await vocabularyWith(flags.plugin),
    engines: {
      namespace: (parts) => new NamespaceEngine(parts),
      lxc: (parts) =>
        new LxcEngine(parts, {
          storage: resolve(flags.storage),
          allowed,
          unpack: flags.unpack,
          say,
        }),
    },
    rootless: isRootless(),
    allowed,
    watch: flags.watch,
    control: resolve(flags.control),
    config: configOf(flags),
    say,
  });
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => engine.end());
  process.stdout.on('error', () => engine.end()); // nobody listens to us any more
  const failure = await engine.run();
  return failure ? fail(failure) : 0;
}

/** What `GET /config` shows. */
function configOf(flags: Flags): Record<string, ConfiguredValue> {
  const usual = defaults();
  const path = (value: string, other: string) => ({
    value: resolve(value),
    isDefault: resolve(value) === resolve(other),
  });
  return {
    'system.init.mode': { value: 'appengine', isDefault: true },
    'storage.mntpoint': path(flags.storage, usual.storage),
    'control.socket': path(flags.pvCtrl, usual.pvCtrl),
    'xconnect.control': path(flags.control, usual.control),
    'log.dir': path(join(flags.storage, 'logs'), join(usual.storage, 'logs')),
    'log.level': { value: flags.logLevel, isDefault: flags.logLevel === 'info' },
    'updater.watch': { value: String(flags.watch), isDefault: !flags.watch },
  };
}

function fail(sentence: string): number {
  process.stderr.write(`pv-appengine: ${sentence}\n`);
  return 1;
}

native.descriptorsEndAtExec(); // no child inherits what our launcher left open
let exitCode = 0;
const places = defaults();
const command = new Command('pv-appengine')
  .description('Runs the containers of a revision, with pv-xconnect between them.')
  .version(packageVersion())
  .exitOverride()
  .argument(
    '[revision...]',
    'folder, state file or pvrexport; of several, a later one wins a key; none: that of the storage',
  )
  .option('--watch', 'take up what changes in the revisions', false)
  .option('--storage <folder>', 'revisions, objects and logs are below it', places.storage)
  .option('--pv-ctrl <path>', 'the control socket', places.pvCtrl)
  .option('--control <path>', "the daemon's own control socket", places.control)
  .addOption(
    new Option('--rootless <when>', 'in a user namespace; auto: unless this is root')
      .choices(ROOTLESS)
      .default('auto'),
  )
  .addOption(
    new Option('--log-level <level>', 'what the daemon logs').choices(LOG_LEVELS).default('info'),
  )
  .addOption(
    new Option('--plugin <module>', 'a plugin of the daemon; may be repeated')
      .argParser((module: string, all: string[]) => [...all, module])
      .default([], 'none'),
  )
  .addOption(
    new Option('--allow-mount <folder>', 'of the host, for lxc.mount.entry; may be repeated')
      .argParser((folder: string, all: string[]) => [...all, folder])
      .default([], 'none'),
  )
  .option('--unpack', 'unpack roots, where they could be mounted too', false)
  .option('--no-daemon', 'do not launch pv-xconnect')
  .action(async (revisions: string[], flags: Flags) => {
    exitCode = await run(revisions, flags);
  });

async function runCommand(): Promise<number> {
  try {
    await command.parseAsync();
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
    if (thrown instanceof XConnectError) return fail(thrown.message);
    return fail(`${(thrown as Error).message}. This is a bug: report it.`);
  }
}

command
  .command('inspect')
  .description('print the merged state as JSON')
  .argument('<revision...>', 'folder, state file or pvrexport')
  .action(async (revisions: string[]) => {
    const { failed, problems, state } = await readRevisions(revisions);
    for (const one of problems) {
      process.stderr.write(`${problemText(one)}\n`);
    }
    if (!failed) process.stdout.write(`${printableJson(state)}\n`);
    exitCode = failed ? 1 : 0;
  });

command
  .command('pack')
  .description('make a pvrexport of a folder whose containers have a root folder')
  .argument('<folder>', 'with a folder for each container: args.json, services.json, root')
  .option('-o, --output <file>', 'where it is written; FOLDER.pvrexport.tgz')
  .action(async (folder: string, { output: to }: { output?: string }) => {
    const packed = await pack(folder, { output: to });
    if (!packed.ok) {
      exitCode = fail(packed.why);
      return;
    }
    const { containers, file } = packed.value;
    process.stdout.write(`${file}: ${containers.map(printable).join(', ')}\n`);
  });

const output = new StandardOutput('pv-appengine');
process.exitCode = await output.settle(await runCommand());
