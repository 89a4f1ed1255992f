/** Containers whose file systems hang, or are slow on purpose: they delay only themselves. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startContainer, type TestContainer } from '../../support/container.js';
import { FOR_EVER, mountSlow } from '../../support/file-systems.js';
import { fuse } from '../../support/requirements.js';
import { eventually, pause } from '../../support/wait.js';
import { failure, useBroker } from './support.js';

describe.runIf(fuse())('a container whose file system', () => {
  const at = useBroker();
  let slow: TestContainer[];
  let handles: number[];
  beforeEach(async () => {
    slow = await Promise.all(['one', 'two'].map((name) => startContainer({ name })));
    handles = await Promise.all(slow.map(({ pid }) => at.hold(pid)));
  });
  afterEach(async () => {
    await Promise.all(slow.map((container) => container.kill()));
  });

  /** What another container answers meanwhile: it is there, and there is no socket. */
  async function elsewhere(): Promise<unknown> {
    // The most that an answer may take.
    const late = pause(5_000).then(() => 'nothing for 5 s');
    return Promise.race([at.host.broker.probeUnix(at.handle, '/run/nothing'), late]);
  }

  test('hangs leaves others alone, and so does a second one', async () => {
    for (const [i, container] of slow.entries()) {
      await mountSlow(container, '/run/slow', FOR_EVER);
      for (let n = 0; n < 20; n++) {
        void at.host.broker.probeUnix(handles[i] as number, `/run/slow/${n}`);
      }
    }
    expect(await elsewhere()).toEqual(failure('ENOENT'));
  });

  test('hangs time and again leaves enough who serve others, once what hung has ended', async () => {
    const hang = slow.map((container) => () => mountSlow(container, '/run/slow', FOR_EVER));
    // More rounds, of three operations each, than there are threads.
    for (let round = 0; round < 4; round++) {
      const mounted = await Promise.all(hang.map((mount) => mount()));
      const hung = handles.flatMap((handle) =>
        [0, 1, 2].map((n) => at.host.broker.probeUnix(handle, `/run/slow/${n}`)),
      );
      for (const { line } of mounted) await line(); // it is looked up
      expect(await elsewhere()).toEqual(failure('ENOENT'));
      await Promise.all(mounted.map((one) => one.end()));
      for (const answer of await Promise.all(hung)) expect(answer.ok).toBe(false);
      for (const container of slow) await container.exec(['umount', '-l', '/run/slow']);
    }
    const many = await Promise.all(Array.from({ length: 100 }, elsewhere));
    expect(many).toEqual(many.map(() => failure('ENOENT')));
  });

  test('hangs when what was planted there is to be removed leaves others alone', async () => {
    const [handle] = handles as [number];
    const plants: number[] = [];
    for (let i = 0; i < 10; i++) plants.push((await at.plant(`/run/pv/${i}`, handle)).plant);
    await mountSlow(slow[0] as TestContainer, '/run/pv', FOR_EVER);
    const removed = plants.map((plant) => at.host.broker.remove(plant));
    expect(await elsewhere()).toEqual(failure('ENOENT'));
    expect(await removed[9]).toEqual(failure('EBUSY')); // and can be asked for again
    await slow[0]?.kill();
    expect((await at.host.broker.remove(plants[9] as number)).ok).toBe(true);
  });

  test('is slow has no more than its turns, however much is asked of it', async () => {
    await mountSlow(slow[0] as TestContainer, '/run/slow', 0.08);
    let asked = 0;
    let served = 0;
    let stop = false;
    const keepAsking = async () => {
      while (!stop) {
        const answer = await at.host.broker.probeUnix(handles[0] as number, `/run/slow/${asked++}`);
        if (!answer.ok && answer.errno === 'ENOENT') served++;
      }
    };
    const askers = Array.from({ length: 60 }, keepAsking);
    await eventually(() => expect(served).toBeGreaterThan(0));
    const before = served;
    const answers = [];
    for (let i = 0; i < 20; i++) answers.push(await elsewhere());
    const turns = served - before;
    stop = true;
    await Promise.all(askers);
    expect(answers).toEqual(answers.map(() => failure('ENOENT')));
    // Each question from elsewhere stood behind 60 of these; had it waited for their turns, that were 1,200.
    expect(turns).toBeLessThan(200);
  });
});
