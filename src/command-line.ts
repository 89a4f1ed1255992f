/**
 * The command line of pv-xconnect: argv to calls. The daemon itself never loads this (main.ts): its flags are
 * parsed while it is still root, and handed on as values.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { launch } from './broker/launch.js';
import { busCommand, busPlaces, DEFAULT_UIDS, parseRange } from './bus/program.js';
import type { UidRange } from './bus/uid-book.js';
import type { CheckOptions } from './cli/check.js';
import type { DiffOptions } from './cli/diff.js';
import type { DoctorOptions } from './cli/doctor.js';
import type { ExplainOptions } from './cli/explain.js';
import type { GraphCommandOptions } from './cli/graph.js';
import type { DaemonOptions } from './daemon.js';
import { report } from './kernel/errors.js';
import { LOG_LEVELS } from './kernel/log.js';
import { suggestion } from './kernel/nearest.js';
import { StandardOutput } from './kernel/standard-output.js';
import { vocabularyWith } from './plugins/vocabulary.js';
import { PACKAGE_ROOT } from './relay/native.js';

interface DaemonFlags {
  readonly state?: string;
  readonly pids?: string;
  readonly docker?: string;
  readonly ingress?: string;
  readonly pvCtrl: string;
  readonly control: string;
  readonly certificates: string;
  readonly user?: string;
  readonly storage: string;
  readonly bus: string[];
  readonly busUids?: UidRange;
  readonly plugin: string[];
  readonly logLevel: string;
  readonly drain: number;
  readonly stopDrain?: number;
  readonly patience: number;
  readonly linkMemory: number;
}

const CONTROL = '/run/pv-xconnect/control.sock';
const CERTIFICATES = '/etc/pv-xconnect/certificates';
const PV_CTRL = '/run/pantavisor/pv/pv-ctrl';
const DOCKER = '/var/run/docker.sock';

const STORAGE = '/var/lib/pv-xconnect';
/** The buses of the known runtimes: pv-appengine, when it is run as root with its defaults, and Pantavisor. */
const BUSES = [busPlaces(CONTROL, STORAGE).socket, '/run/pv/dbus/system_bus_socket'];
/** Pantavisor gives its roles uids from 90000 on, pv-appengine from 200000. */
const RUNTIME_UIDS: UidRange = { first: 90_000, last: DEFAULT_UIDS.last };

/** A runtime that stops waits for its daemons, so they are quick. */
const RUNTIME_STOP_MS = 1_000;

/** A flag that is an environment variable too: `--log-level` is `PV_XCONNECT_LOG_LEVEL`. */
function flag(flags: string, description: string): Option {
  const option = new Option(flags, description);
  return option.env(`PV_XCONNECT_${option.name().toUpperCase().replaceAll('-', '_')}`);
}

function milliseconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds > 86_400) {
    throw new InvalidArgumentError('A number of seconds from 0 to 86400 was expected.');
  }
  return Math.round(seconds * 1000);
}

function mebibytes(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= 65_536) return number * 2 ** 20;
  throw new InvalidArgumentError('A whole number of MiB from 1 to 65536 was expected.');
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

function duration(text: string): number {
  const [, number, unit = 's'] = /^(\d+)([smh]?)$/.exec(text) ?? [];
  const time = Number(number) * (UNITS[unit || 's'] as number);
  if (time > 0 && time <= 86_400_000) return time;
  throw new InvalidArgumentError('A time such as 60s, 5m or 1h was expected, of a day at most.');
}

function uidRange(text: string): UidRange {
  const range = parseRange(text);
  if (range) return range;
  throw new InvalidArgumentError(
    'Two uids above 65535, the lower one first, were expected, such as 200000-265535.',
  );
}

function list(value: string, all: string[]): string[] {
  return [...all, ...value.split(',').filter(Boolean)];
}

function controlFlag(): Option {
  return flag('--control <path>', "the daemon's control socket").default(CONTROL);
}

function pluginFlag(): Option {
  return flag('--plugin <module>', 'a module with a plugin; may be repeated')
    .argParser(list)
    .default([], 'none');
}

function version(): string {
  const text = readFileSync(`${PACKAGE_ROOT}/package.json`, 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Where there is no runtime, the daemon hosts the bus itself. */
function busOptions(flags: DaemonFlags) {
  if (isUnderRuntime(flags)) {
    const { first, last } = flags.busUids ?? RUNTIME_UIDS;
    const buses = flags.bus.length > 0 ? flags.bus : BUSES;
    return { buses: buses.map((path) => resolve(path)), busUids: `${first}-${last}`, busHost: [] };
  }
  const uids = flags.busUids ?? DEFAULT_UIDS;
  const places = busPlaces(resolve(flags.control), resolve(flags.storage));
  const command = busCommand(places, uids);
  const obstacle = command.ok ? {} : { obstacle: command.why };
  return {
    buses: [places.socket],
    busUids: `${uids.first}-${uids.last}`,
    busHost: command.ok ? command.value : [],
    hostedBus: { socket: places.socket, uids, ...obstacle },
  };
}

function isUnderRuntime({ state, docker }: DaemonFlags): boolean {
  return state === undefined && docker === undefined;
}

/** Becomes the daemon: never returns. */
function startDaemon(flags: DaemonFlags): never {
  const { buses, busUids, busHost, hostedBus } = busOptions(flags);
  const options: DaemonOptions = {
    ...(flags.state === undefined ? {} : { statePath: flags.state }),
    ...(flags.pids === undefined ? {} : { pidsPath: flags.pids }),
    ...(flags.docker === undefined
      ? {}
      : { docker: flags.ingress === undefined ? {} : { ingressPath: flags.ingress } }),
    ...(hostedBus ? { hostedBus } : {}),
    buses,
    plugins: flags.plugin,
    logLevel: flags.logLevel,
    drainMs: flags.drain,
    stopDrainMs: flags.stopDrain ?? (isUnderRuntime(flags) ? RUNTIME_STOP_MS : flags.drain),
    patienceMs: flags.patience,
    linkMemory: flags.linkMemory,
  };
  const { control, docker, pvCtrl, certificates, user } = flags;
  const runtime = docker ?? pvCtrl;
  launch({ control, runtime, certificates, user, buses, busUids, busHost, daemon: options });
}

/** All commands and options. `exit` is told the exit code of a command that ran. */
export function program(exit: (code: number) => void): Command {
  const command = new Command('pv-xconnect')
    .description("Joins what containers provide to what they require: a device's service mesh.")
    .version(version())
    .exitOverride()
    .addOption(flag('--state <path>', 'build the graph from this revision, not from a runtime'))
    .addOption(flag('--pids <file>', 'with --state: JSON object, container name to init pid'))
    .addOption(
      flag(
        '--docker <socket>',
        'build the graph from the labels of containers of this engine; Docker: /var/run/docker.sock',
      ).conflicts('state'),
    )
    .addOption(flag('--ingress <file>', 'with --docker: JSON with "ingress" as in device.json'))
    .addOption(flag('--pv-ctrl <path>', "the runtime's control socket").default(PV_CTRL))
    .addOption(controlFlag())
    .addOption(
      flag('--certificates <folder>', 'certificates and keys that ingress may use').default(
        CERTIFICATES,
      ),
    )
    .addOption(flag('--user <name>', 'whom to become once started (default: a user of its own)'))
    .addOption(
      flag(
        '--storage <folder>',
        'with --state or --docker: the uids of roles on the hosted bus are kept below it',
      ).default(STORAGE),
    )
    .addOption(
      flag('--bus <path>', "socket of the runtime's own bus, on the host; may be repeated")
        .argParser(list)
        .default([], 'those that runtimes have'),
    )
    .addOption(
      flag('--bus-uids <first-last>', 'uids of roles on the hosted bus').argParser(uidRange),
    )
    .addOption(pluginFlag())
    .addOption(
      flag('--drain <seconds>', 'for connections of a link that left')
        .argParser(milliseconds)
        .default(5_000, '5'),
    )
    .addOption(
      flag(
        '--stop-drain <seconds>',
        "for all connections when it is told to end (default: 1; with --state or --docker, --drain's)",
      ).argParser(milliseconds),
    )
    .addOption(
      flag('--patience <seconds>', 'how long a connection waits for its provider')
        .argParser(milliseconds)
        .default(5_000, '5'),
    )
    .addOption(
      flag('--link-memory <MiB>', "what a link's connections may hold for those who do not read")
        .argParser(mebibytes)
        .default(64 * 2 ** 20, '64'),
    )
    .addOption(flag('--log-level <level>', 'what is logged').choices(LOG_LEVELS).default('info'))
    .allowExcessArguments() // an excess argument is an unknown command, see refuseUnknown
    .action((flags: DaemonFlags, own: Command) => {
      refuseUnknown(own);
      startDaemon(flags);
    });

  command
    .command('check <path>')
    .description('read a revision and print its problems; exit 1 on errors')
    .option('--json', 'as JSON', false)
    .addOption(pluginFlag())
    .exitOverride()
    .action(async (path: string, _options, subcommand: Command) => {
      const flags: CheckOptions & DaemonFlags = subcommand.optsWithGlobals();
      const { checkCommand } = await import('./cli/check.js');
      const vocabulary = await vocabularyWith(flags.plugin);
      exit(await checkCommand(path, { json: flags.json, vocabulary }, process.stdout));
    });

  command
    .command('graph')
    .description('the live graph as a table')
    .addOption(controlFlag())
    .option('--json', 'as JSON', false)
    .option('--dot', 'for Graphviz', false)
    .option('--mermaid', 'for Mermaid', false)
    .option('--watch', 'again at every change', false)
    .option('--from <path>', 'of a revision, without any runtime')
    .addOption(pluginFlag())
    .exitOverride()
    .action(async (_options, subcommand: Command) => {
      const flags: GraphCommandOptions & DaemonFlags = subcommand.optsWithGlobals();
      const { graphCommand } = await import('./cli/graph.js');
      const vocabulary = await vocabularyWith(flags.plugin);
      exit(await graphCommand({ ...flags, vocabulary }, process));
    });

  command
    .command('diff <old> <new>')
    .description('access and links that differ between two revisions; "running" is the live graph')
    .addOption(controlFlag())
    .option('--json', 'as JSON', false)
    .option('--exit-code', 'exit 1 if there is a difference, 2 if one can not be read', false)
    .addOption(pluginFlag())
    .exitOverride()
    .action(async (before: string, after: string, _options, subcommand: Command) => {
      const flags: DiffOptions & DaemonFlags = subcommand.optsWithGlobals();
      const { diffCommand } = await import('./cli/diff.js');
      const vocabulary = await vocabularyWith(flags.plugin);
      exit(await diffCommand({ ...flags, before, after, vocabulary }, process));
    });

  command
    .command('doctor')
    .description('what this machine has of what pv-xconnect needs; exit 1 if something is missing')
    .addOption(controlFlag())
    .addOption(flag('--pv-ctrl <path>', "the runtime's control socket").default(PV_CTRL))
    .addOption(flag('--docker <path>', 'socket of a container engine').default(DOCKER))
    .option('--json', 'as JSON', false)
    .exitOverride()
    .action(async (_options, subcommand: Command) => {
      const flags: DoctorOptions & DaemonFlags = subcommand.optsWithGlobals();
      const { doctorCommand } = await import('./cli/doctor.js');
      exit(await doctorCommand(flags, process));
    });

  command
    .command('explain [consumer] [service]')
    .description('why a link is as it is, step by step; without a consumer all that are not well')
    .addOption(controlFlag())
    .option('--json', 'as JSON', false)
    .option('--from <path>', 'of a revision, without any runtime')
    .addOption(pluginFlag())
    .exitOverride()
    .action(async (consumer, service, _options, subcommand: Command) => {
      const flags: ExplainOptions & DaemonFlags = subcommand.optsWithGlobals();
      const { explainCommand } = await import('./cli/explain.js');
      const vocabulary = await vocabularyWith(flags.plugin);
      exit(await explainCommand({ ...flags, consumer, service, vocabulary }, process));
    });

  command
    .command('learn <consumer> <service>')
    .description('the smallest policy that covers what a consumer does on its bus meanwhile')
    .addOption(controlFlag())
    .addOption(
      new Option('--for <time>', 'how long, such as 60s or 5m')
        .argParser(duration)
        .default(60_000, '60s'),
    )
    .exitOverride()
    .action(async (consumer: string, service: string, _options, subcommand: Command) => {
      const { learnCommand } = await import('./cli/learn.js');
      exit(await learnCommand({ ...subcommand.optsWithGlobals(), consumer, service }, process));
    });
  return command;
}

/** A word where a command is expected: commander takes it for an argument of the daemon. */
function refuseUnknown(command: Command): void {
  const [word] = command.args;
  if (word === undefined) return;
  const names = command.commands.map((one) => one.name());
  command.error(
    `error: unknown command ${JSON.stringify(word)}${suggestion(word, names)}, expected ${names.join(', ')} or none`,
    { exitCode: 2 },
  );
}

function fail(thrown: unknown, debug: boolean): number {
  if (thrown instanceof CommanderError) {
    return thrown.exitCode === 0 ? 0 : 2; // commander has said it already
  }
  return report(thrown, debug);
}

/** Runs what the command line asks for. Resolves with the exit code: 0 done, 1 failure, 2 wrong usage. */
export async function runCommandLine(): Promise<number> {
  const output = new StandardOutput('pv-xconnect');
  return output.settle(await runCommand());
}

async function runCommand(): Promise<number> {
  let exitCode = 0;
  const command = program((code) => {
    exitCode = code;
  });
  try {
    await command.parseAsync();
    return exitCode;
  } catch (thrown) {
    return fail(thrown, command.opts<DaemonFlags>().logLevel === 'debug');
  }
}
