/** A policy as programs of other stacks meet it: what each does before, around and after a call is its own. */
import { beforeEach, describe, expect, test } from 'vitest';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { ADDRESS, COMMANDS } from './commands.js';
import { ADMIN, LOCK, OBJECT, POLICY, SERVICES, THERMOSTAT, VAULT } from './example-policy.js';
import { useBusPair } from './support.js';

/** What each makes of the error's name. */
const REFUSED = /AccessDenied|Access denied|The policy does not let you/;
const ABSENT = /ServiceUnknown|was not provided by any .service files|NameHasNoOwner/;

describe.runIf(isRoot() && has('dbus-daemon'))('a policy, met with', () => {
  const pair = useBusPair('--patience', '2');
  beforeEach(async () => {
    await pair.establish({ role: 'operator', policy: POLICY });
    await pair.serveAll(...SERVICES);
  });

  describe.each(Object.entries(COMMANDS))('%s', (program, command) => {
    const isThere = has(program);

    test.runIf(isThere)('lets its calls pass that it names', async () => {
      expect(await pair.ask(...command(THERMOSTAT, '/', 'Get'))).toMatch(/\bok\b/);
      expect(await pair.ask(...command(ADMIN, OBJECT, 'Status'))).toMatch(/\bok\b/);
    });

    test.runIf(isThere)('refuses the others with a sentence', async () => {
      await expect(pair.ask(...command(ADMIN, OBJECT, 'Reset'))).rejects.toThrow(REFUSED);
      await expect(pair.ask(...command(LOCK, '/', 'Open'))).rejects.toThrow(REFUSED);
    });

    test.runIf(isThere)('hides what may not be seen', async () => {
      await expect(pair.ask(...command(VAULT, '/', 'Open'))).rejects.toThrow(ABSENT);
    });
  });

  test.runIf(has('busctl'))('busctl list shows what may be seen and nothing else', async () => {
    const list = await pair.ask('busctl', `--address=${ADDRESS}`, 'list', '--no-pager');
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
