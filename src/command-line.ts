/**
 * The command line of pv-xconnect as people have it: argv to calls, help, and what is wrong with the options. A daemon
 * that runs never loads this (main.ts): it reads the table of its options itself (daemon-options.ts).
 */
import { existsSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { CheckOptions } from './cli/check.js';
import type { ConnectionsOptions } from './cli/connections.js';
import type { DiffOptions } from './cli/diff.js';
import type { DoctorOptions } from './cli/doctor.js';
import type { ExplainOptions } from './cli/explain.js';
import type { FaultOptions } from './cli/fault.js';
import type { GraphCommandOptions } from './cli/graph.js';
import type { LearnOptions } from './cli/learn.js';
import { CALL_FORM, parseCall, parseRequest, URL_FORM } from './cli/questions.js';
import type { TapOptions } from './cli/tap.js';
import type { UpgradeOptions } from './cli/upgrade.js';
import { DAEMON_OPTIONS, type OptionName, readValue, variableOf } from './daemon-options.js';
import { report, XConnectError } from './kernel/errors.js';
import { suggestion } from './kernel/nearest.js';
import { packageVersion } from './kernel/package-version.js';
import { StandardOutput } from './kernel/standard-output.js';
import { userPlaces } from './kernel/user-places.js';
import { vocabularyWith } from './plugins/vocabulary.js';
import { type ListenAddress, listenAddress, METRICS_SERVER, PAGE_SERVER } from './web/address.js';
import type { WebOptions } from './web/command.js';
import type { MetricsCommandOptions } from './web/metrics-command.js';

/** An option of the daemon, which some commands have as well. */
function flag(name: OptionName): Option {
  const specification = DAEMON_OPTIONS[name];
  const option = new Option(`--${name} ${specification.meta}`, specification.description);
  option.env(variableOf(name));
  if ('choices' in specification && specification.choices) option.choices(specification.choices);
  else option.argParser((text, before) => parsed(name, text, before));
  if ('conflicts' in specification && specification.conflicts) {
    option.conflicts(specification.conflicts);
  }
  const initial = name === 'control' ? usualControl() : undefined;
  if ('initial' in specification) {
    option.default(initial ?? specification.initial, specification.shown);
  }
  return option;
}

/** A user's own daemon, where there is one; undefined: that of the machine. */
function usualControl(): string | undefined {
  if (process.geteuid?.() === 0) return undefined;
  const { control } = userPlaces();
  return existsSync(control) ? control : undefined;
}

function parsed(name: OptionName, text: string, before: unknown): unknown {
  const value = readValue(name, text, before);
  if (!value.ok) throw new InvalidArgumentError(value.why);
  return value.value;
}

/** The word by which shells ask for names to complete; no command for people. */
const NAMES = 'names';

interface Plugins {
  readonly plugin: string[];
}

/** The daemon is nobody's child but the supervisor's, who starts it as root. */
function refuseDaemon(): never {
  if (process.geteuid?.() !== 0) {
    throw new XConnectError(
      'permission-denied',
      'pv-xconnect was started as an ordinary user, root (or root of a user namespace) was expected: ' +
        'it enters containers through pvx-broker and gives up root at once.',
    );
  }
  throw new XConnectError('internal', 'The daemon is started by bin/pv-xconnect, and not so.');
}

/** Where Docker has its socket, which doctor looks for. */
const DOCKER = '/var/run/docker.sock';

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

function readOr<T>(value: T | null, expected: string): T {
  if (value !== null) return value;
  throw new InvalidArgumentError(expected);
}

function duration(text: string): number {
  const [, number, unit = 's'] = /^(\d+)([smh]?)$/.exec(text) ?? [];
  const time = Number(number) * (UNITS[unit || 's'] as number);
  if (time > 0 && time <= 86_400_000) return time;
  throw new InvalidArgumentError('A time such as 60s, 5m or 1h was expected, of a day at most.');
}

/** Milliseconds. */
function delay(text: string): number {
  const [, number, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(text) ?? [];
  const time = Number(number) * (unit === 's' ? 1_000 : 1);
  if (time > 0) return time;
  throw new InvalidArgumentError('A time such as 200ms or 1.5s was expected.');
}

const FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1_024, m: 1_024 ** 2 };

/** Bytes a second. */
function rate(text: string): number {
  const [, number, unit = ''] = /^(\d+)([km]?)$/i.exec(text) ?? [];
  const bytes = Number(number) * (FACTORS[unit.toLowerCase()] as number);
  if (bytes > 0) return bytes;
  throw new InvalidArgumentError('Bytes a second such as 500, 64k or 1m were expected.');
}

function percent(text: string): number {
  const [, number] = /^(\d+(?:\.\d)?)%?$/.exec(text) ?? [];
  if (Number(number) > 0 && Number(number) <= 100) return Number(number);
  throw new InvalidArgumentError('A share such as 5% or 0.5% was expected.');
}

function seed(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
  throw new InvalidArgumentError('A whole number below 2^32 was expected.');
}

function forTime(seconds: number): Option {
  return new Option('--for <time>', 'how long, such as 60s or 5m')
    .argParser(duration)
    .default(seconds * 1_000, `${seconds}s`);
}

/** Where the page of `web` and the metrics are served unless told otherwise. */
const PAGE = '127.0.0.1:9280';
const METRICS = '127.0.0.1:9281';

function listening(text: string): ListenAddress {
  const address = listenAddress(text);
  if (address) return address;
  throw new InvalidArgumentError(`An IP address and a port such as ${PAGE} were expected.`);
}

/** All commands and options. `exit` is told the exit code of a command that ran. */
export function program(exit: (code: number) => void): Command {
  const command = new Command('pv-xconnect')
    .description("Joins what containers provide to what they require: a device's service mesh.")
    .version(packageVersion())
    .exitOverride()
    .allowExcessArguments() // an excess argument is an unknown command, see refuseUnknown
    .action((_options, own: Command) => {
      refuseUnknown(own);
      refuseDaemon();
    });
  for (const name of Object.keys(DAEMON_OPTIONS)) command.addOption(flag(name as OptionName));

  command
    .command('check <path>')
    .description('read a revision and print its problems; exit 1 on errors')
    .option('--json', 'as JSON', false)
    .addOption(flag('plugin'))
    .exitOverride()
    .action(async (path: string, _options, subcommand: Command) => {
      const flags: CheckOptions & Plugins = subcommand.optsWithGlobals();
      const { checkCommand } = await import('./cli/check.js');
      const vocabulary = await vocabularyWith(flags.plugin);
      exit(await checkCommand(path, { json: flags.json, vocabulary }, process.stdout));
    });

  command
    .command('graph')
    .description('the live graph as a table')
    .addOption(flag('control'))
    .option('--json', 'as JSON', false)
    .option('--dot', 'for Graphviz', false)
    .option('--mermaid', 'for Mermaid', false)
    .option('--watch', 'again at every change', false)
    .option('--from <path>', 'of a revision, without any runtime')
    .addOption(flag('plugin'))
    .exitOverride()
    .action(async (_options, subcommand: Command) => {
      const flags: GraphCommandOptions & Plugins = subcommand.optsWithGlobals();
      const { graphCommand } = await import('./cli/graph.js');
      const vocabulary = await vocabularyWith(flags.plugin);
      exit(await graphCommand({ ...flags, vocabulary }, process));
    });

  command
    .command('diff <old> <new>')
    .description('access and links that differ between two revisions; "running" is the live graph')
    .addOption(flag('control'))
    .option('--json', 'as JSON', false)
    .option('--exit-code', 'exit 1 if there is a difference, 2 if one can not be read', false)
    .addOption(flag('plugin'))
    .exitOverride()
    .action(async (before: string, after: string, _options, subcommand: Command) => {
      const flags: DiffOptions & Plugins = subcommand.optsWithGlobals();
      const { diffCommand } = await import('./cli/diff.js');
      const vocabulary = await vocabularyWith(flags.plugin);
      exit(await diffCommand({ ...flags, before, after, vocabulary }, process));
    });

  command
    .command('doctor')
    .description('what this machine has of what pv-xconnect needs; exit 1 if something is missing')
    .addOption(flag('control'))
    .addOption(flag('pv-ctrl'))
    .addOption(new Option('--docker <path>', 'socket of a container engine').default(DOCKER))
    .option('--json', 'as JSON', false)
    .exitOverride()
    .action(async (_options, subcommand: Command) => {
      const flags: DoctorOptions = subcommand.optsWithGlobals();
      const { doctorCommand } = await import('./cli/doctor.js');
      exit(await doctorCommand(flags, process));
    });

  command
    .command('explain [consumer] [service]')
    .description('why a link is as it is, step by step; without a consumer all that are not well')
    .addOption(flag('control'))
    .option('--json', 'as JSON', false)
    .addOption(new Option('--connect', 'make a connection to the provider').conflicts('from'))
    .addOption(
      new Option(`--call <method>`, `whether this may be called on a bus: ${CALL_FORM}`).argParser(
        (text) =>
          readOr(
            parseCall(text),
            `A method such as org.example.Door1.Open was expected, ${CALL_FORM}.`,
          ),
      ),
    )
    .addOption(
      new Option('--url <request>', `where this request goes: ${URL_FORM}`).argParser((text) =>
        readOr(parseRequest(text), `A request such as /status was expected, ${URL_FORM}.`),
      ),
    )
    .option('--from <path>', 'of a revision, without any runtime')
    .addOption(flag('plugin'))
    .exitOverride()
    .action(async (consumer, service, _options, subcommand: Command) => {
      const flags: ExplainOptions & Plugins = subcommand.optsWithGlobals();
      const { explainCommand } = await import('./cli/explain.js');
      const vocabulary = await vocabularyWith(flags.plugin);
      exit(await explainCommand({ ...flags, consumer, service, vocabulary }, process));
    });

  command
    .command('connections [consumer] [service]')
    .description('the open connections: who has them, since when, and how much has passed')
    .addOption(flag('control'))
    .option('--follow', 'then each one that ends, and why', false)
    .option('--json', 'as JSON; with --follow a line each', false)
    .exitOverride()
    .action(async (consumer, service, _options, subcommand: Command) => {
      const flags: ConnectionsOptions = subcommand.optsWithGlobals();
      const { connectionsCommand } = await import('./cli/connections.js');
      exit(await connectionsCommand({ ...flags, consumer, service }, process));
    });

  command
    .command('upgrade')
    .description(
      'the running daemon is replaced by the version that is installed now; exit 1 if not',
    )
    .addOption(flag('control'))
    .exitOverride()
    .action(async (_options, subcommand: Command) => {
      const { control }: UpgradeOptions = subcommand.optsWithGlobals();
      const { upgradeCommand } = await import('./cli/upgrade.js');
      exit(await upgradeCommand({ control, installed: packageVersion() }, process));
    });

  command
    .command('learn <consumer> <service>')
    .description('the smallest policy that covers what a consumer does on its bus meanwhile')
    .addOption(flag('control'))
    .addOption(forTime(60))
    .option('--refused', 'allow what is refused at present, too, without asking', false)
    .exitOverride()
    .action(async (consumer: string, service: string, _options, subcommand: Command) => {
      const { askAtTerminal, learnCommand } = await import('./cli/learn.js');
      const options: LearnOptions = { ...subcommand.optsWithGlobals(), consumer, service };
      const { stdout, stderr } = process;
      exit(await learnCommand(options, { stdout, stderr, ask: askAtTerminal() }));
    });

  command
    .command('tap <consumer> <service>')
    .description('what passes on a link, both ways: D-Bus, HTTP heads, bytes; only for root')
    .addOption(flag('control'))
    .addOption(forTime(30))
    .option('--pcap <file>', 'write a file for Wireshark (pcapng) in place of printing')
    .option('--json', 'as JSON, a line each', false)
    .exitOverride()
    .action(async (consumer: string, service: string, _options, subcommand: Command) => {
      const { tapCommand } = await import('./cli/tap.js');
      const options: TapOptions = { ...subcommand.optsWithGlobals(), consumer, service };
      exit(await tapCommand(options, process));
    });

  command
    .command('fault <consumer> <service>')
    .description('a bad provider for a while, to see how the consumer bears it; only for root')
    .addOption(flag('control'))
    .addOption(forTime(60))
    .addOption(new Option('--delay <time>', 'how late what it says is').argParser(delay))
    .addOption(new Option('--rate <bytes>', 'a second, each connection and way').argParser(rate))
    .addOption(new Option('--reset <percent>', 'of new connections break off').argParser(percent))
    .option('--refuse', 'new connections are refused', false)
    .addOption(new Option('--seed <number>', 'which break off, and where').argParser(seed))
    .option('--json', 'its begin and end as JSON', false)
    .exitOverride()
    .action(async (consumer: string, service: string, _options, subcommand: Command) => {
      const { faultCommand } = await import('./cli/fault.js');
      const options: FaultOptions = { ...subcommand.optsWithGlobals(), consumer, service };
      exit(await faultCommand(options, process));
    });

  command
    .command('web')
    .description('a page that shows the mesh as it is now, until Ctrl-C; its address is printed')
    .addOption(flag('control'))
    .addOption(
      new Option('--listen <address>', 'IP address and port of the page')
        .argParser(listening)
        .default(listening(PAGE), PAGE),
    )
    .exitOverride()
    .action(async (_options, subcommand: Command) => {
      const flags: WebOptions = subcommand.optsWithGlobals();
      const { webCommand } = await import('./web/command.js');
      exit(await webCommand(flags, process));
    });

  command
    .command('metrics')
    .description('the metrics of the daemon, once, or served for Prometheus until Ctrl-C')
    .addOption(flag('control'))
    .addOption(
      new Option('--listen [address]', `serve them there; ${METRICS} unless told otherwise`)
        .argParser(listening)
        .preset(METRICS),
    )
    .exitOverride()
    .action(async (_options, subcommand: Command) => {
      const flags: MetricsCommandOptions = subcommand.optsWithGlobals();
      const { metricsCommand } = await import('./web/metrics-command.js');
      exit(await metricsCommand(flags, process));
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
  const [, , word] = process.argv;
  if (word === PAGE_SERVER || word === METRICS_SERVER) {
    const { serveFromParent } = await import('./web/server-process.js');
    return serveFromParent(word);
  }
  const output = new StandardOutput('pv-xconnect');
  if (word === NAMES) {
    const { namesCommand } = await import('./cli/names.js');
    await namesCommand(
      process.argv.slice(3),
      program(() => undefined),
      process.stdout,
    );
    return 0;
  }
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
    return fail(thrown, command.opts<{ logLevel?: string }>().logLevel === 'debug');
  }
}
