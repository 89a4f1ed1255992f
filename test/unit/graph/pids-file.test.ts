/** The pids file: its forms, what it may lack, and the time at which its content was true. */
import { rename, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { type Pids, PidsFile } from '../../../src/graph/pids-file.js';
import { bootTicks } from '../../../src/kernel/boot-clock.js';
import { XConnectError } from '../../../src/kernel/errors.js';
import { nextTick } from '../../support/wait.js';
import { scratchFolder } from '../manifest/scratch.js';

async function fileOf(text: string) {
  const path = `${await scratchFolder()}/pids.json`;
  await writeFile(path, text);
  return { path, file: new PidsFile(path) };
}

async function good(file: PidsFile): Promise<Pids> {
  const pids = await file.read();
  if (pids instanceof XConnectError) throw pids;
  return pids;
}

describe('a pids file', () => {
  it('has pids, or objects with an address', async () => {
    const { file } = await fileOf('{"web":12,"db":{"pid":34,"address":"10.0.3.2"},"off":0}');
    const { pids, addresses, warnings } = await good(file);
    expect([...pids]).toEqual([
      ['web', 12],
      ['db', 34],
      ['off', 0],
    ]);
    expect([...addresses]).toEqual([['db', '10.0.3.2']]);
    expect(warnings).toEqual([]);
  });

  it('says how a container ended', async () => {
    const end = { how: 'exit code 3', times: 4, log: '/var/log/db.log' };
    const bad = { how: 'exit code 3', times: 0 };
    const { file } = await fileOf(JSON.stringify({ db: { pid: 0, end }, x: { pid: 1, end: bad } }));
    const { pids, ends, warnings } = await good(file);
    expect([...ends]).toEqual([['db', end]]);
    expect(pids.size).toBe(2);
    expect(warnings).toEqual([
      'Found 0 at /end/times for the container "x" in the pids file, expected how often it has ended.',
    ]);
  });

  it('that is not there means that nothing runs', async () => {
    const pids = await good(new PidsFile(`${await scratchFolder()}/absent.json`));
    expect(pids.pids.size).toBe(0);
  });

  it('loses only its bad entries, and says which', async () => {
    const { file } = await fileOf(
      '{"a":"12","b":-1,"c":1.5,"d":{"pid":7,"address":"near"},"__proto__":9}',
    );
    const { pids, warnings } = await good(file);
    expect([...pids]).toEqual([
      ['d', 7],
      ['__proto__', 9],
    ]);
    expect(warnings).toHaveLength(4);
    expect(warnings[0]).toBe('Found "12" for the container "a" in the pids file, expected a pid.');
  });

  it.each(['', '[1]', '{"a":', '7'])('that holds %j is a failure', async (text) => {
    const { file } = await fileOf(text);
    expect(await file.read()).toMatchObject({ code: 'state-unreadable' });
  });

  it('that is no regular file, or too large, is a failure', async () => {
    expect(await new PidsFile('/dev/zero').read()).toMatchObject({ code: 'state-unreadable' });
    const { file } = await fileOf(' '.repeat(1024 * 1024 + 1));
    expect(await file.read()).toMatchObject({ code: 'state-unreadable' });
  });
});

describe('its stamp', () => {
  it('is a moment after the file was written and before it was read', async () => {
    const { file } = await fileOf('{"a":1}');
    const before = bootTicks();
    const { stamp } = await good(file);
    expect(stamp).toBeGreaterThanOrEqual(before);
    expect(stamp).toBeLessThanOrEqual(bootTicks());
  });

  it('stays as long as nobody writes the file, so that a recycled pid stays too young', async () => {
    const { file } = await fileOf('{"a":1}');
    const first = await good(file);
    await nextTick();
    expect(await good(file)).toBe(first);
  });

  it.each([
    ['written over', (path: string) => writeFile(path, '{"a":1}')],
    [
      'replaced',
      async (path: string) => {
        await writeFile(`${path}.new`, '{"a":1}');
        await rename(`${path}.new`, path);
      },
    ],
  ])('is new when the file was %s, even with the same text', async (_, write) => {
    const { path, file } = await fileOf('{"a":1}');
    const first = await good(file);
    await nextTick();
    await write(path);
    const second = await good(file);
    expect(second.stamp).toBeGreaterThan(first.stamp);
    expect([...second.pids]).toEqual([...first.pids]);
  });
});
