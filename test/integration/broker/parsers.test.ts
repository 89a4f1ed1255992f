/**
 * What the broker reads of /proc/PID, fed with anything: the process's own choice is in some of it. Built with the
 * sanitizers of the compiler, which end it where it reads or writes beside a buffer.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { brokerSources, compile } from '../../support/compile.js';
import { Peer } from '../../support/peer-process.js';
import { fc, property } from '../../support/property.js';

const ESRCH = 3;
const EPERM = 1;
const NO_UID = 0xffff_ffff;

const CONTAINER = join(PACKAGE_ROOT, 'native/broker/container.c');
const sources = brokerSources().filter((path) => path !== CONTAINER && !path.endsWith('/main.c'));
const own = fileURLToPath(new URL('parsers.c', import.meta.url));
const flags = [
  '-std=gnu11',
  '-pthread',
  '-g',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover',
];

interface Extent {
  readonly inside: number;
  readonly outside: number;
  readonly length: number;
}

describe('of a process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pvx-proc-'));
  const program = compile('parsers', [own, ...sources], flags, [CONTAINER]);
  const parsers = new Peer(spawn(program, [folder], { stdio: ['pipe', 'pipe', 'inherit'] }));
  afterAll(() => {
    parsers.kill();
    rmSync(folder, { recursive: true });
  });

  async function read(stat: string | Uint8Array, uidMap: string | Uint8Array, uid: number) {
    writeFileSync(join(folder, 'stat'), stat);
    writeFileSync(join(folder, 'uid_map'), uidMap);
    parsers.say(`${uid}\n`);
    const line = await parsers.line();
    expect(line).toMatch(/^\d+ \d+ \d+ \d+ \d+$/); // nothing where a sanitizer ended it
    const [notStarted, start, unmapped, outside, inside] = line.split(' ').map(Number);
    return { notStarted, start, unmapped, outside, inside };
  }

  property('the time of its start is found, whatever it calls itself', async (holds) => {
    const name = fc.string({
      unit: fc.constantFrom(')', '(', ' ', '\n', 'a', '1', '\xff'),
      maxLength: 60,
    });
    const number = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    const rest = fc.array(number, { minLength: 18, maxLength: 18 });
    const after = fc.array(fc.nat(), { maxLength: 30 });
    await holds(
      fc.asyncProperty(name, rest, fc.maxSafeNat(), after, async (called, before, start, tail) => {
        const text = `7 (${called}) S ${[...before, start, ...tail].join(' ')}\n`;
        expect(await read(Buffer.from(text, 'latin1'), '', 0)).toMatchObject({
          notStarted: 0,
          start,
        });
      }),
      { runs: 500 },
    );
  });

  property('a uid is where its map puts it, and comes back', async (holds) => {
    const gap = fc.tuple(fc.nat(1000), fc.integer({ min: 1, max: 70_000 }), fc.nat(100_000));
    await holds(
      fc.asyncProperty(
        fc.array(gap, { minLength: 1, maxLength: 5 }),
        fc.nat(300_000),
        async (gaps, uid) => {
          const extents: Extent[] = [];
          let [inside, outside] = [0, 0];
          for (const [skip, length, far] of gaps) {
            extents.push({ inside: inside + skip, outside: outside + far, length });
            [inside, outside] = [inside + skip + length, outside + far + length];
          }
          const text = extents
            .map((one) => `${one.inside} ${one.outside} ${one.length}\n`)
            .join('');
          const hit = extents.find((one) => uid >= one.inside && uid < one.inside + one.length);
          const expected = hit
            ? { unmapped: 0, outside: hit.outside + uid - hit.inside, inside: uid }
            : { unmapped: EPERM };
          expect(await read('', text, uid)).toMatchObject({ notStarted: ESRCH, ...expected });
        },
      ),
      { runs: 500 },
    );
  });

  property('anything at all is read or refused', async (holds) => {
    const word = fc.oneof(
      fc.constantFrom('0', '4294967295', '4294967294', '-1', '\0', ')', '\n', ' '),
      fc.string(),
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.array(word).map((all) => Buffer.from(all.join(' '))),
    );
    const uid = fc.oneof(fc.nat(NO_UID), fc.constantFrom(0, NO_UID - 1, NO_UID));
    await holds(
      fc.asyncProperty(bytes, bytes, uid, async (stat, map, one) => {
        const { notStarted, unmapped, outside } = await read(stat, map, one);
        expect([0, ESRCH]).toContain(notStarted);
        expect([0, EPERM]).toContain(unmapped);
        expect(outside).toBeLessThan(NO_UID);
      }),
      { runs: 500 },
    );
  });
});
