/** The file of role uids, with a real pvx-bus: kept over restarts, and recovered from whatever becomes of it. */
import { mkdirSync, readFileSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestBus } from '../../support/bus/bus.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { revision } from './support.js';

function replace(file: string, make: () => void): void {
  rmSync(file);
  make();
}

describe.runIf(isRoot() && has('dbus-daemon'))('the uids of roles', () => {
  let bus: TestBus;
  beforeEach(() => {
    bus = new TestBus();
  });
  afterEach(() => bus.remove());

  test('the same roles have the same uids after a restart, and new ones get new ones', async () => {
    await bus.start();
    const before = new Map((await bus.hosts(revision(['friend']))).uids);
    await bus.stop();
    const again = new TestBus(undefined, bus.folder);
    bus = again;
    await again.start();
    const after = (await again.hosts(revision(['aaa', 'friend']))).uids;
    expect(new Map([...(after ?? [])].slice(0, before.size))).toEqual(before);
    expect(after?.get('aaa')).toBe(200_003);
  });

  test.each([
    ['gone', (file: string) => rmSync(file)],
    ['empty', (file: string) => writeFileSync(file, '')],
    ['garbage', (file: string) => writeFileSync(file, Buffer.alloc(5_000, 0xa5))],
    ['cut off', (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 75))],
    ['a folder', (file: string) => replace(file, () => mkdirSync(file))],
    [
      'a link to a file of root',
      (file: string) => replace(file, () => symlinkSync('/etc/shadow', file)),
    ],
  ])('a file of uids that is %s costs nobody a uid', async (_, damage) => {
    await bus.start();
    await bus.hosts(revision(['friend']));
    const before = new Map((await bus.hosts(revision(['friend', 'second']))).uids);
    expect(before.size).toBe(4);
    await bus.stop();
    damage(bus.uidsFile);
    bus = new TestBus(undefined, bus.folder);
    await bus.start();
    const after = (await bus.hosts(revision(['aaa', 'second', 'friend']))).uids ?? new Map();
    expect(Object.fromEntries(after)).toEqual({ ...Object.fromEntries(before), aaa: 200_004 });
    expect(readFileSync(`${bus.uidsFile}.copy`, 'utf8')).toBe(readFileSync(bus.uidsFile, 'utf8'));
    expect(readFileSync('/etc/shadow', 'utf8')).not.toContain('pv-xconnect');
  });

  test.each([
    ['gone', (file: string) => rmSync(file)],
    ['garbage', (file: string) => writeFileSync(file, 'garbage')],
    ['a folder', (file: string) => replace(file, () => mkdirSync(file))],
  ])(
    'where one file is %s, the other is left alone until there is a new one',
    async (_, damage) => {
      await bus.start();
      await bus.hosts(revision(['friend']));
      await bus.hosts(revision(['friend', 'second']));
      await bus.stop();
      const copy = readFileSync(`${bus.uidsFile}.copy`, 'utf8');
      damage(bus.uidsFile);
      mkdirSync(`${bus.uidsFile}.new`); // where the file would be written first
      bus = new TestBus(undefined, bus.folder);
      await bus.start();
      const after = (await bus.hosts(revision(['friend', 'third']))).uids;
      expect(readFileSync(`${bus.uidsFile}.copy`, 'utf8')).toBe(copy);
      expect(after?.has('friend')).toBe(true);
      expect(after?.has('third')).toBe(false);
      expect(bus.log.join('\n')).toMatch(/can't be kept \(EISDIR\)/);
      rmdirSync(`${bus.uidsFile}.new`);
      await eventually(() => {
        expect(readFileSync(bus.uidsFile, 'utf8')).toContain('"third": 200004');
      });
    },
  );
});
