/** Containers whose file systems hang, or take their time, under the real daemon. */
import { beforeAll, describe, expect, test } from 'vitest';
import { FOR_EVER, mountSlow, mountStalling } from '../../support/file-systems.js';
import { fuse } from '../../support/requirements.js';
import { useUnixPair } from './support.js';

describe.runIf(fuse())('a file system of a container’s own making', () => {
  const pair = useUnixPair('--drain', '0', '--patience', '5');
  beforeAll(async () => {
    await pair.serve('serve-echo');
  });

  test('that hangs does not keep the daemon from ending when it is told to', async () => {
    await pair.establish();
    await mountSlow(pair.consumer, '/run/pv/services', FOR_EVER);
    expect(await pair.daemon.kill('SIGTERM')).toBe(0);
    await pair.consumer.restart();
    await pair.daemon.launch();
  });

  test('that hangs keeps no daemon from starting after one that was killed', async () => {
    const hang = await mountStalling(pair.consumer, '/run/pv/services');
    await pair.establish();
    hang();
    expect(await pair.daemon.kill('SIGKILL')).toBe('SIGKILL');
    await pair.daemon.launch();
    await pair.consumer.restart();
    await pair.establish();
  });
});
