/** What a provider may pass off as a device, and a consumer as a target: nothing is planted anywhere. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startContainer } from '../../support/container.js';
import { usePair } from '../../support/container-pair.js';
import { FOR_EVER, mountLying, mountSlow } from '../../support/file-systems.js';
import { useHostFolder } from '../../support/host-folder.js';
import { fuse } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { Devices } from './support.js';

const CARD = '/dev/dri/card0';

describe('a hostile container', () => {
  const host = useHostFolder();
  const hostBlock = join(host, 'block');
  const hostCard = join(host, 'card');
  beforeAll(() => {
    execFileSync('mknod', [hostBlock, 'b', '8', '0']);
    execFileSync('mknod', [hostCard, 'c', '226', '0']);
  });
  const at = usePair(new Devices());
  afterEach(() => at.clear());

  const planted = () => at.inConsumer('ls -A /dev/dri /run/dev 2>/dev/null | grep -v :');

  test.each([
    ['a symlink to a block device of the host', `ln -s ${hostBlock} $T`, 'device-missing'],
    ['a symlink to a card of the host', `ln -s ${hostCard} $T`, 'device-missing'],
    ['a symlink that climbs', `ln -s ../../../../../..${hostCard} $T`, 'device-missing'],
    ['a magic link to the host', 'ln -s /proc/1/root/dev/null $T', 'device-missing'],
    ['a loop', `ln -s card0 $T`, 'device-missing'],
    ['a regular file', 'echo x > $T', 'device-wrong'],
    ['a fifo', 'mkfifo $T', 'device-wrong'],
    ['a folder', 'mkdir $T', 'device-wrong'],
    ['a socket', 'python3 -c "import socket; socket.socket(1).bind(\'$T\')"', 'device-wrong'],
    ['a block device', 'mknod $T b 8 0', 'device-wrong'],
    ['a block device with the numbers of a card', 'mknod $T b 226 0', 'device-wrong'],
    ['memory', 'mknod $T c 1 1', 'device-wrong'],
    ['an input device', 'mknod $T c 13 64', 'device-wrong'],
    ['another card', 'mknod $T c 226 1', 'device-wrong'],
    ['a renderer', 'mknod $T c 226 128', 'device-wrong'],
  ])('that has %s in place of its card gets nothing planted', async (_name, make, code) => {
    await at.inProvider(`mkdir -p /dev/dri; T=${CARD}; ${make}`);
    await at.refused(code, at.link());
    expect(await planted()).toBe('');
    await at.refused(code, at.link({ device: 'fd' }));
    if (code === 'device-missing') return; // a client waits: it may come
    const [, answer] = await at.client(CARD);
    expect(answer).toBe('nothing');
  });

  test.runIf(fuse())('that shows a card in a file system of its own making has none', async () => {
    await at.withContainer({ name: 'provider', userns: true }, async (own) => {
      execFileSync('mknod', ['-m', '666', `${own.rootDir}/dev/fuse`, 'c', '10', '229']);
      await mountLying(own, '/run/lying', 226, 0);
      // The kernel keeps others out of such a file system, but not out of one that lies over it.
      const options = 'lowerdir=/run/lying:/run/empty,userxattr';
      await own.exec([
        'sh',
        '-c',
        `mkdir -p /run/empty /dev/dri; mount -t overlay -o ${options} none /dev/dri`,
      ]);
      const { stdout } = await own.exec(['stat', '-c', '%F %t:%T', CARD]);
      expect(stdout.trim()).toBe('character special file e2:0');
      const link = at.link({ provider_pid: own.pid });
      expect(await at.refused('device-wrong', link)).toContain("devices can't be opened");
      expect(await planted()).toBe('');
      await at.refused('device-wrong', { ...link, device: 'fd' });
      expect((await at.client(CARD))[1]).toBe('nothing');
    });
  });

  test.runIf(fuse())('that hangs when it is looked at can not keep its card planted', async () => {
    const own = await startContainer({ name: 'provider' });
    try {
      await own.exec(['sh', '-c', `mkdir -p /dev/dri; mknod ${CARD} c 226 0`]);
      await at.until('established', at.link({ provider_pid: own.pid }));
      const hanging = await mountSlow(own, '/dev/dri', FOR_EVER);
      expect(await hanging.line()).toBe('looked');
      at.daemon.set();
      await eventually(async () => expect(await planted()).toBe(''));
    } finally {
      await own.kill();
    }
  });

  test('whose input device is another one than its name says gets nothing planted', async () => {
    await at.inProvider('mkdir -p /dev/input; mknod /dev/input/event0 c 13 65');
    const keys = { type: 'input', socket: '/dev/input/event0', target: '/run/dev/keys' };
    await at.refused('device-wrong', at.link(keys));
    expect(await planted()).toBe('');
  });

  test.each([
    ['master', '/dev/dri/renderD128', 'c 226 128'],
    ['render', '/dev/dri/card0', 'c 226 0'],
    ['master', '/dev/dri/screen', 'c 226 0'],
    ['render', '/dev/dri/gpu', 'c 226 128'],
  ])('of role %s gets no %s', async (role, socket, numbers) => {
    await at.inProvider(`mkdir -p /dev/dri; mknod ${socket} ${numbers}`);
    await at.refused('device-wrong', at.link({ role, socket }));
    expect(await planted()).toBe('');
  });

  test('that exchanges its card while the link is there loses it', async () => {
    await at.inProvider(`mkdir -p /dev/dri; mknod ${CARD} c 226 0`);
    await at.until('established', at.link());
    await at.inProvider(`rm ${CARD}; mknod ${CARD} c 226 1`);
    await at.withError('device-wrong');
    expect(await planted()).toBe('');
  });

  describe('with a sound provider', () => {
    const target = (path: string) => at.link({ target: path });
    const sound = () => at.inProvider(`mkdir -p /dev/dri; mknod ${CARD} c 226 0`);

    test.each(['/dev/../../run/x', '/', '/run/dev/', '/run/dev/..', 'run/x'])(
      'that names its target %j gets nothing',
      async (path) => {
        await sound();
        const [shown] = await at.until('failed', target(path));
        expect(shown?.last_error?.code).toMatch(/^target-/);
      },
    );

    test.each(['/proc/1/root/run/pvx-x', '/proc/self/root/run/pvx-x'])(
      'that names its target by the magic link %s gets nothing',
      async (path) => {
        await sound();
        const [shown] = await at.until('failed', target(path));
        expect(shown?.last_error?.code).toMatch(/^target-/);
        expect(existsSync('/run/pvx-x')).toBe(false);
      },
    );

    test('whose folder on the way is a symlink to the host’s stays inside itself', async () => {
      await sound();
      await at.inConsumer('mkdir -p /run/dev/inside; ln -s /run/dev/inside /dev/dri');
      await at.until('established', target(CARD));
      expect(await at.inConsumer('ls /run/dev/inside')).toBe('card0');
      expect(existsSync('/run/dev/inside')).toBe(false);
    });

    test('that is a process of the host gets nothing', async () => {
      await sound();
      const link = at.link({ consumer_pid: at.daemon.pid, target: '/run/pvx-node' });
      await at.refused('not-a-container', link);
      expect(existsSync(at.host.path('/run/pvx-node'))).toBe(false);
    });
  });
});
