/** What stands before the start: options, programs and users, and what is said where one of them is missing. */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { request } from '../../support/daemon.js';
import { childrenOf, endBy, statusOf } from '../../support/processes.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { Family } from './family.js';

const PROGRAM = `${PACKAGE_ROOT}bin/pv-xconnect`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvx-start-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    cwd: folder,
    env: { ...process.env, ...env },
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}

describe('bin/pv-xconnect', () => {
  test('is found through the links that npm makes', () => {
    mkdirSync(join(folder, 'bin'));
    mkdirSync(join(folder, 'lib'));
    symlinkSync(PROGRAM, join(folder, 'lib/pv-xconnect'));
    symlinkSync('../lib/pv-xconnect', join(folder, 'bin/pv-xconnect'));
    const { stdout } = run(join(folder, 'bin/pv-xconnect'), ['--version']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const env = { PATH: `${join(folder, 'bin')}:${process.env.PATH}` };
    expect(run('sh', ['-c', 'pv-xconnect --version'], env).stdout).toBe(stdout);
    expect(run('bin/pv-xconnect', ['--version']).stdout).toBe(stdout);
  });

  test('says so where it is not built', () => {
    mkdirSync(join(folder, 'bin'));
    const copy = join(folder, 'bin/pv-xconnect');
    spawnSync('cp', [PROGRAM, copy]);
    expect(run(copy, ['--version'])).toEqual({
      ...{ status: 1, stdout: '' },
      stderr: 'pv-xconnect: it is not built yet: run npm ci in its folder.\n',
    });
  });

  test.each([
    [
      { PV_XCONNECT_NODE: '/nowhere/node' },
      'there is no program at /nowhere/node, which PV_XCONNECT_NODE names: Node.js was expected.',
    ],
    [
      { PATH: '/nowhere' },
      'Node.js was not found: there is no program "node" in a folder of PATH; install it, or say with PV_XCONNECT_NODE where it is.',
    ],
  ])('says where Node.js was looked for: %o', (env, sentence) => {
    const program = `${PACKAGE_ROOT}build/Release/pv-xconnect`;
    const said = { status: 1, stdout: '', stderr: `pv-xconnect: ${sentence}\n` };
    expect(run(program, ['--version'], env)).toEqual(said);
    if (isRoot()) {
      expect(run(program, ['--control', join(folder, 'c')], env)).toEqual(said);
      expect(existsSync(join(folder, 'c'))).toBe(false);
    }
  });

  test.runIf(isRoot() && has('setpriv'))('has to be started as root', () => {
    const argv = ['--reuid', '1000', '--regid', '1000', '--clear-groups', PROGRAM];
    const { status, stderr } = run('setpriv', argv);
    expect(status === 1 || stderr.includes('Permission denied')).toBe(true);
  });
});

describe.runIf(isRoot())('a daemon', () => {
  const control = () => join(folder, 'sub/control.sock');
  const start = (...args: string[]) => run(PROGRAM, ['--control', control(), ...args]);

  test.each([
    [['--drain', 'x'], "error: option '--drain <seconds>' argument 'x' is invalid. A number of "],
    [['--stat', 'x'], "error: unknown option '--stat'\n(Did you mean --state?)\n"],
    [['--plugin'], "error: option '--plugin <module>' argument missing\n"],
    [['--bus-uids', '5-6'], "error: option '--bus-uids <first-last>' argument '5-6' is invalid. "],
    [
      ['--', 'x'],
      'error: unknown command "x", expected check, graph, diff, doctor, explain, connections, upgrade, learn, tap, fault, web, metrics or none\n',
    ],
    [['-x'], "error: unknown option '-x'\n"],
  ])('that is told nonsense ends with 2, and says what was expected: %j', (args, said) => {
    const { status, stderr } = start(...args);
    expect(stderr.startsWith(said) ? said : stderr).toBe(said);
    expect(status).toBe(2);
    expect(existsSync(control())).toBe(false);
  });

  test('that is told nonsense by a variable ends with 2, too', () => {
    const env = { PV_XCONNECT_LINK_MEMORY: '0' };
    const { status, stderr } = run(PROGRAM, ['--control', control()], env);
    expect(stderr).toMatch(/^error: option '--link-memory <MiB>' value '0' from env 'PV_XCONNECT_/);
    expect(status).toBe(2);
  });

  const NONE = 'in /etc/passwd: give an existing one with --user.';
  test.each([
    ['nosuchuser', `there is no user nosuchuser ${NONE}`],
    ['4294967296', `there is no user 4294967296 ${NONE}`],
    ['0', '--user 0 is root, which nobody becomes here: give a user without privileges.'],
  ])('of a user that is not there, or is root, does not start: %s', (name, said) => {
    expect(start('--user', name)).toEqual({
      ...{ status: 1, stdout: '' },
      stderr: `pv-xconnect: ${said}\n`,
    });
    expect(existsSync(control())).toBe(false);
  });

  test('with a plugin that is not there does not start, and leaves nothing', () => {
    const { status, stderr } = start('--plugin', '/none.mjs');
    expect(stderr).toMatch(/^pv-xconnect: Plugin \/none\.mjs: there is nothing at \/none\.mjs\. /);
    expect(status).toBe(1);
    expect(existsSync(control())).toBe(false);
  });

  test('whose control socket is another file leaves that', () => {
    writeFileSync(join(folder, 'file'), 'mine');
    const { status, stderr } = run(PROGRAM, ['--control', join(folder, 'file')]);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: `pv-xconnect: no control socket at ${join(folder, 'file')}: something that is no socket is there: remove it, or give --control another path.\n`,
    });
    expect(existsSync(join(folder, 'file'))).toBe(true);
  });
});

describe.runIf(isRoot())('a package that only root finds the way to', () => {
  test('is executed, and its code is loaded, by users that do not', async () => {
    const hidden = join(folder, 'closed/package');
    mkdirSync(join(hidden, 'build'), { recursive: true });
    for (const name of ['bin', 'dist', 'build/Release', 'package.json']) {
      cpSync(join(PACKAGE_ROOT, name), join(hidden, name), { recursive: true });
    }
    symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(hidden, 'node_modules'));
    chmodSync(join(folder, 'closed'), 0o700);
    chmodSync(folder, 0o755);
    const argv = ['--control', join(folder, 'control.sock'), '--pv-ctrl', join(folder, 'none')];
    const child = spawn(join(hidden, 'bin/pv-xconnect'), argv, { stdio: 'ignore' });
    try {
      await eventually(async () =>
        expect(await request(join(folder, 'control.sock'), '/health')).toMatchObject({ links: 0 }),
      );
      const children = childrenOf(child.pid as number);
      expect(children.map((pid) => statusOf(pid)('Name'))).toEqual([
        ...['pvx-broker', 'pvx-relay', 'node'],
      ]);
    } finally {
      expect(await endBy(child, 'SIGTERM')).toBe(0);
    }
  });
});

describe.runIf(isRoot())('what broker, bus and daemon are started with', () => {
  let family: Family;
  beforeEach(() => {
    family = new Family();
  });
  afterEach(() => family.remove());

  /** The words behind an option on the command line of a child. */
  async function given(name: 'pvx-broker' | 'pvx-bus', option: string): Promise<string[]> {
    const words = family.words(await family.started(name));
    return words.flatMap((word, i) => (word === option ? [words[i + 1] as string] : []));
  }
  const told = async () => {
    await family.started('node');
    const variables = family.environment('node');
    const of = (name: string) => variables.find((one) => one.startsWith(name))?.split('=')[1];
    return { buses: of('PVX_BUSES')?.split('\n'), uids: of('PVX_BUS_UIDS') };
  };

  test('under a runtime are the buses of the known ones, and their uids', async () => {
    family.start();
    const buses = ['/run/pv-xconnect/bus/system_bus_socket', '/run/pv/dbus/system_bus_socket'];
    expect(await given('pvx-broker', '--bus')).toEqual(buses);
    expect(await given('pvx-broker', '--bus-uids')).toEqual(['90000-265535']);
    expect(await told()).toEqual({ buses, uids: '90000-265535' });
  });

  test('are what the command line says, before the variables, paths made plain', async () => {
    const args = ['--bus', '/a//b/../c/.,/d/', '--bus=e', '--bus-uids', '70000-70009'];
    family.start([...args, '--pv-ctrl', '/r', '--certificates=/c', '--log-level', '--bus'], {
      ...{ PV_XCONNECT_BUS: '/other', PV_XCONNECT_PV_CTRL: '/other' },
    });
    const buses = ['/a/c', '/d', `${process.cwd()}/e`];
    expect(await given('pvx-broker', '--bus')).toEqual(buses);
    expect(await given('pvx-broker', '--bus-uids')).toEqual(['70000-70009']);
    expect(await given('pvx-broker', '--runtime')).toEqual(['/r']);
    expect(await given('pvx-broker', '--certificates')).toEqual(['/c']);
    expect(await told()).toEqual({ buses, uids: '70000-70009' });
  });

  test('are the variables where the command line says nothing', async () => {
    family.start([], {
      ...{
        PV_XCONNECT_BUS: '/a,/b',
        PV_XCONNECT_PV_CTRL: '/r',
        PV_XCONNECT_BUS_UIDS: '70000-70001',
      },
    });
    expect(await given('pvx-broker', '--bus')).toEqual(['/a', '/b']);
    expect(await given('pvx-broker', '--runtime')).toEqual(['/r']);
    expect(await told()).toEqual({ buses: ['/a', '/b'], uids: '70000-70001' });
  });

  test('with --state is the one bus that is hosted, beside the control socket', async () => {
    family.start(['--state=/r', '--storage', '/var/../lib/x', '--bus', '/a']);
    const bus = join(family.folder, 'bus');
    expect(await given('pvx-broker', '--bus')).toEqual([`${bus}/system_bus_socket`]);
    expect(await given('pvx-bus', '--folder')).toEqual([bus]);
    expect(await given('pvx-bus', '--store')).toEqual(['/lib/x/bus']);
    expect(await given('pvx-bus', '--uids')).toEqual(['200000-265535']);
    expect(await told()).toEqual({ buses: [`${bus}/system_bus_socket`], uids: '200000-265535' });
  });
});
