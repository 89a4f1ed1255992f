/** A policy as programs of other stacks meet it: what each does before, around and after a call is its own. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { ADMIN, LOCK, OBJECT, POLICY, THERMOSTAT, VAULT } from './example-policy.js';
import { type BusPair, startBusPair, TARGET } from './support.js';

const ADDRESS = `unix:path=${TARGET}`;

/** Asks python3-dbus for a proxy object, as its users do: it looks for the owner and introspects it first. */
const PYTHON = `import dbus, sys
bus = dbus.bus.BusConnection('${ADDRESS}')
name, path, member = sys.argv[1:]
print(bus.get_object(name, path).get_dbus_method(member, name)())`;

type Command = (name: string, path: string, member: string) => readonly string[];

const CLIENTS: Readonly<Record<string, Command>> = {
  'dbus-send': (name, path, member) => [
    ...['dbus-send', `--bus=${ADDRESS}`, '--print-reply', `--dest=${name}`],
    ...[path, `${name}.${member}`],
  ],
  busctl: (name, path, member) => [
    ...['busctl', `--address=${ADDRESS}`, 'call', name, path, name, member],
  ],
  gdbus: (name, path, member) => [
    ...['gdbus', 'call', '--address', ADDRESS, '--dest', name],
    ...['--object-path', path, '--method', `${name}.${member}`],
  ],
  python3: (name, path, member) => ['/usr/bin/python3', '-c', PYTHON, name, path, member],
};

/** What each makes of the error's name. */
const REFUSED = /AccessDenied|Access denied|The policy does not let you/;
const ABSENT = /ServiceUnknown|was not provided by any .service files|NameHasNoOwner/;

describe.runIf(isRoot() && has('dbus-daemon'))('a policy, met with', () => {
  let pair: BusPair;
  beforeAll(async () => {
    pair = await startBusPair('--patience', '2');
  });
  beforeEach(async () => {
    await pair.establish({ role: 'operator', policy: POLICY });
    for (const name of [THERMOSTAT, ADMIN, LOCK, VAULT]) await pair.serve(name);
  });
  afterEach(() => pair.reset());
  afterAll(() => pair?.stop());

  describe.each(Object.entries(CLIENTS))('%s', (program, command) => {
    const isThere = has(program);

    test.runIf(isThere)('lets its calls pass that it names', async () => {
      expect(await pair.run(...command(THERMOSTAT, '/', 'Get'))).toMatch(/\bok\b/);
      expect(await pair.run(...command(ADMIN, OBJECT, 'Status'))).toMatch(/\bok\b/);
    });

    test.runIf(isThere)('refuses the others with a sentence', async () => {
      await expect(pair.run(...command(ADMIN, OBJECT, 'Reset'))).rejects.toThrow(REFUSED);
      await expect(pair.run(...command(LOCK, '/', 'Open'))).rejects.toThrow(REFUSED);
    });

    test.runIf(isThere)('hides what may not be seen', async () => {
      await expect(pair.run(...command(VAULT, '/', 'Open'))).rejects.toThrow(ABSENT);
    });
  });

  test.runIf(has('busctl'))('busctl list shows what may be seen and nothing else', async () => {
    const list = await pair.run('busctl', `--address=${ADDRESS}`, 'list', '--no-pager');
    for (const name of [THERMOSTAT, ADMIN, LOCK]) expect(list).toContain(name);
    expect(list).not.toContain(VAULT);
  });

  test.runIf(has('gdbus'))('gdbus monitor follows a name', async () => {
    const monitor = pair.consumer.run([
      ...['gdbus', 'monitor', '--address', ADDRESS, '--dest', THERMOSTAT],
    ]);
    let said = '';
    monitor.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    try {
      await eventually(() => expect(said).toContain('is owned by'));
      pair.reset();
      await eventually(() => expect(said).toContain('does not have an owner'));
    } finally {
      monitor.kill('SIGKILL');
    }
  });
});
