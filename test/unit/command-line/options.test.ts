/** The options of the daemon: one table, read by the daemon itself, by the command line of people, and in part in C. */
import { describe, expect, test } from 'vitest';
import { busPlaces, DEFAULT_UIDS } from '../../../src/bus/program.js';
import { program } from '../../../src/command-line.js';
import {
  DAEMON_OPTIONS,
  daemonOptions,
  type OptionName,
  variableOf,
} from '../../../src/daemon-options.js';
import { fc, property } from '../../support/property.js';
import { textOf } from '../documentation/pages.js';

const NAMES = Object.keys(DAEMON_OPTIONS) as OptionName[];
const SUPERVISOR = textOf('native/supervisor/settings.c');
const READ_BY_SUPERVISOR = {
  PVX_BUSES: '/run/a/system_bus_socket\n/run/b/system_bus_socket',
  PVX_BUS_UIDS: '90000-265535',
};
const read = (...words: string[]) => daemonOptions(words, READ_BY_SUPERVISOR);

/** What the command line of people makes of it: its values, or null where it complains. */
function commandLine(words: readonly string[]): Record<string, unknown> | null {
  const command = program(() => undefined)
    .configureOutput({ writeErr: () => undefined })
    .action(() => undefined);
  try {
    command.parse(words, { from: 'user' });
    return command.args.length > 0 ? null : command.opts();
  } catch {
    return null;
  }
}

describe('an option of the daemon', () => {
  test('takes a value, each: by that the supervisor tells a command from the value of an option', () => {
    const wrong = program(() => undefined).options.filter(
      ({ long, required }) => !required && long !== '--version',
    );
    expect(wrong.map(({ long }) => long)).toEqual([]);
    for (const { meta } of Object.values(DAEMON_OPTIONS)) expect(meta).toMatch(/^<[^<>]+>$/);
  });

  test('that the supervisor reads has the same name, variable and default in C', () => {
    const rows = [
      ...SUPERVISOR.matchAll(/^\t\[\w+\] = \{ "([\w-]+)", "(\w+)", (?:"(.*)"|NULL) \},$/gm),
    ];
    expect(rows.length).toBe(11);
    for (const [, name = '', variable, initial] of rows) {
      const specification: { initial?: unknown; isList?: true } =
        DAEMON_OPTIONS[name as OptionName];
      expect([name, variable]).toEqual([name, variableOf(name)]);
      const { isList, initial: ours } = specification;
      const text = typeof ours === 'number' ? String(ours / 1_000) : ours; // milliseconds, and seconds in C
      expect([name, initial]).toEqual([name, isList ? undefined : text]);
    }
  });

  test('for the bus has the defaults of pv-appengine in C', () => {
    const { control, storage } = DAEMON_OPTIONS;
    const { socket } = busPlaces(control.initial as string, storage.initial as string);
    expect(SUPERVISOR).toContain(`runtime_buses[] = { "${socket}",`);
    const { first, last } = DEFAULT_UIDS;
    expect(SUPERVISOR).toContain(`#define OUR_UIDS "${first}-${last}"`);
  });
});

describe('the daemon', () => {
  test('has the defaults where nothing is said', () => {
    expect(read()).toEqual({
      places: {
        source: 'pv-ctrl',
        path: '/run/pantavisor/pv/pv-ctrl',
        control: '/run/pv-xconnect/control.sock',
      },
      buses: ['/run/a/system_bus_socket', '/run/b/system_bus_socket'],
      plugins: [],
      logLevel: 'info',
      logFormat: 'auto',
      drainMs: 5_000,
      stopDrainMs: 1_000,
      patienceMs: 5_000,
      linkMemory: 64 * 2 ** 20,
      timed: false,
    });
  });

  test('with --state hosts the bus, and drains at its end as it does for a link', () => {
    const options = read('--state', '/r', '--drain=7', '--pids', '/p');
    expect(options).toMatchObject({
      ...{ statePath: '/r', pidsPath: '/p', drainMs: 7_000, stopDrainMs: 7_000 },
      places: { source: 'state', path: '/r' },
      hostedBus: { socket: '/run/a/system_bus_socket', uids: { first: 90_000, last: 265_535 } },
    });
  });

  test('takes the variable of an option that is not given, and the last of those that are', () => {
    const env = { ...READ_BY_SUPERVISOR, PV_XCONNECT_DRAIN: '3', PV_XCONNECT_PLUGIN: 'a,b' };
    expect(daemonOptions([], env)).toMatchObject({ drainMs: 3_000, plugins: ['a', 'b'] });
    expect(daemonOptions(['--drain', '1', '--drain', '2', '--plugin', 'c'], env)).toMatchObject({
      ...{ drainMs: 2_000, plugins: ['c'] },
    });
    expect(daemonOptions([], { ...env, PV_XCONNECT_DRAIN: 'x' })).toBeNull();
  });

  test('takes what stands behind an option for its value, whatever that looks like', () => {
    expect(read('--plugin', '--drain', '--plugin=--x=y')).toMatchObject({
      plugins: ['--drain', '--x=y'],
    });
  });

  test.each([
    [['--stat', 'x']],
    [['--state']],
    [['--drain', '-1']],
    [['--link-memory=0']],
    [['--log-level', 'loud']],
    [['--bus-uids', '0-5']],
    [['check']],
    [['--', 'x']],
    [['-x']],
    [['--constructor', 'x']],
    [['--__proto__=x']],
  ])('finds that something is wrong with %j, as the command line of people does', (words) => {
    expect(read(...words)).toBeNull();
    expect(commandLine(words)).toBeNull();
  });

  property('and the command line of people agree on what is right', async (holds) => {
    const word = fc.oneof(
      fc.constantFrom(...NAMES.map((name) => `--${name}`)),
      fc.constantFrom(...NAMES.map((name) => `--${name}=5`)),
      fc.constantFrom('5', '0', '--', '-', '', '70000-70001', 'info', 'a,b'),
      fc.constantFrom('--bus-uids=70000-70001', '--no', '--drain=', '--=x', '---'),
    );
    await holds(
      fc.property(fc.array(word, { maxLength: 6 }), (words) => {
        expect(read(...words) === null).toBe(commandLine(words) === null);
      }),
      { runs: 2_000, examples: [[['--']]] },
    );
  });
});
