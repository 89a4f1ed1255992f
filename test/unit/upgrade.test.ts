/** The daemon's part in an upgrade, by the words of its supervisor. */
import { beforeEach, describe, expect, test } from 'vitest';
import { Upgrade } from '../../src/upgrade.js';
import { eventually } from '../support/wait.js';

describe('an upgrade', () => {
  let said: string[];
  let idle: () => void;
  let settled: () => void;
  let upgrade: Upgrade;
  const say = (word: string) => () => void said.push(word);

  beforeEach(() => {
    said = [];
    const stepping = new Promise<void>((resolve) => {
      idle = resolve;
    });
    const asking = new Promise<void>((resolve) => {
      settled = resolve;
    });
    const freeze = (what: string, done: Promise<void>) => () => {
      said.push(`${what} frozen`);
      return done;
    };
    upgrade = new Upgrade({
      supervisor: { upgrade: say('U'), frozen: say('z') },
      mesh: { freeze: freeze('mesh', stepping), thaw: say('mesh thawed') },
      broker: {
        freeze: freeze('broker', asking),
        thaw: say('broker thawed'),
        leave: say('broker left'),
      },
      relay: { leave: say('relay left') },
      keeper: () => ({ pause: say('bus paused'), resume: say('bus resumed') }),
      onThaw: say('looked'),
      log: { info: () => undefined, error: () => undefined },
    });
  });

  const frozen = () => eventually(() => expect(said).toContain('z'));

  test('is answered once steps under way have ended, and then what the broker was asked', async () => {
    expect(upgrade.ask()).toBeNull();
    upgrade.freeze();
    expect(said).toEqual(['U', 'mesh frozen']);
    idle();
    await eventually(() => expect(said).toContain('broker frozen'));
    expect(said).not.toContain('z');
    settled();
    await frozen();
    expect(said.slice(2)).toEqual(['broker frozen', 'bus paused', 'z']);
    expect(upgrade.state).toBe('under way');
  });

  test('does not wait for ever for a step that hangs', async () => {
    upgrade.freeze();
    await frozen();
  });

  test('ends in leaving: nothing of what was handed over is touched any more', async () => {
    idle();
    settled();
    upgrade.freeze();
    await frozen();
    said = [];
    upgrade.commit();
    await upgrade.committed;
    upgrade.thaw(); // too late
    expect(said).toEqual(['broker left', 'relay left']);
  });

  test('that is given up leaves everything as it was, and says why', async () => {
    idle();
    settled();
    upgrade.ask();
    upgrade.freeze();
    await frozen();
    said = [];
    upgrade.thaw();
    expect(upgrade.state).toBe('under way');
    upgrade.refuse('the new relay ended');
    expect(said).toEqual(['broker thawed', 'bus resumed', 'mesh thawed', 'looked']);
    expect(upgrade.state).toEqual({ error: 'the new relay ended.' });
    expect(upgrade.ask()).toBeNull();
    expect(upgrade.state).toBe('under way');
  });

  test('that is given up before the steps have ended is not answered any more', async () => {
    upgrade.freeze();
    upgrade.thaw();
    idle();
    settled();
    await Promise.resolve();
    expect(said).toEqual(['mesh frozen', 'broker thawed', 'bus resumed', 'mesh thawed', 'looked']);
  });

  test('is refused before it has begun', () => {
    upgrade.ask();
    upgrade.refuse('The version before is still leaving.');
    expect(upgrade.state).toEqual({ error: 'The version before is still leaving.' });
  });

  test('is one at a time, and none while there is an obstacle', () => {
    upgrade.obstacle = 'Not yet.';
    expect(upgrade.ask()).toBe('Not yet.');
    upgrade.obstacle = null;
    expect(upgrade.ask()).toBeNull();
    expect(upgrade.ask()).toContain('under way');
    expect(said).toEqual(['U']);
  });
});
