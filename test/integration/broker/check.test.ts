/** Whether what was planted is still what the container sees at its path: each way to lose it, in a real container. */
import { closeSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { startContainer } from '../../support/container.js';
import { failure, useBroker } from './support.js';

const PATH = '/run/pv/services/raw.sock';

describe('a check of what was planted', () => {
  const at = useBroker();
  const planted: number[] = [];
  afterEach(async () => {
    for (const plant of planted.splice(0)) await at.host.broker.remove(plant);
    await at.sh('rm -rf /run/pv /run/elsewhere');
  });

  async function plant(path = PATH): Promise<number> {
    const made = await at.plant(path);
    closeSync(made.fd);
    planted.push(made.plant);
    return made.plant;
  }

  async function lost(): Promise<readonly number[]> {
    const checked = await at.host.broker.check(at.handle);
    if (!checked.ok) throw new Error(checked.errno);
    return checked.value.lost;
  }

  test('finds nothing lost where nothing happened, and nothing where nothing was planted', async () => {
    expect(await lost()).toEqual([]);
    await plant();
    expect(await lost()).toEqual([]);
  });

  test.each([
    ['was unlinked', `rm ${PATH}`],
    ['lost its folder', 'rm -r /run/pv'],
    ['had a folder above it renamed', 'mv /run/pv /run/elsewhere'],
    ['was renamed', `mv ${PATH} ${PATH}.old`],
    [
      'is another socket',
      `rm ${PATH}; python3 -c "import socket; socket.socket(1).bind('${PATH}')"`,
    ],
    ['is a regular file', `rm ${PATH}; touch ${PATH}`],
    ['leads nowhere', `rm ${PATH}; ln -s /run/nowhere ${PATH}`],
    ['was mounted over', `touch /run/empty; mount --bind /run/empty ${PATH}`],
    ['had its folder mounted over', 'mount -t tmpfs tmpfs /run/pv'],
  ])('finds one that %s, and no other', async (_what, script) => {
    const gone = await plant();
    await plant('/run/other.sock');
    await at.sh(script);
    expect(await lost()).toEqual([gone]);
    await at.sh(`umount ${PATH}; umount /run/pv`);
  });

  test('takes one for there that a symlink still leads to', async () => {
    await plant();
    await at.sh('mv /run/pv /run/elsewhere; ln -s elsewhere /run/pv');
    expect(await lost()).toEqual([]);
  });

  test('asked of one container does not speak of another', async () => {
    const other = await startContainer({ name: 'other' });
    const held = await at.hold(other.pid);
    const made = await at.plant(PATH, held);
    closeSync(made.fd);
    await other.exec(['rm', PATH]);
    expect(await lost()).toEqual([]);
    const checked = await at.host.broker.check(held);
    expect(checked).toMatchObject({ ok: true, value: { lost: [made.plant] } });
    await other.kill();
    expect(await at.host.broker.check(held)).toEqual(failure('ESRCH'));
  });

  test('says which network the container is in', async () => {
    const made = await at.host.broker.listenTcp(at.handle, { ip: '127.0.0.1', port: 4321 });
    const checked = await at.host.broker.check(at.handle);
    if (!made.ok || !checked.ok) throw new Error('neither should fail');
    closeSync(made.value.fd);
    expect(checked.value.network).toBe(made.value.network);
    expect(checked.value.network).toBeGreaterThan(0n);
  });
});
