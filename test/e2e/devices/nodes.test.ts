/**
 * drm and input links with "mode": "node": real nodes with the real numbers in real containers, planted by the real
 * daemon. What would open them needs the hardware: docs/hardware-testing.md.
 */
import { statSync } from 'node:fs';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { startContainer } from '../../support/container.js';
import { usePair } from '../../support/container-pair.js';
import { eventually } from '../../support/wait.js';
import { Devices } from './support.js';

const CARD = '/dev/dri/card0';
const LOOK = "stat -c '%F %t:%T %a %u:%g'";
const SPECIAL = 'character special file';

describe('a link that plants a node', () => {
  const at = usePair(new Devices());
  afterEach(() => at.clear());

  const inProvider = (make: string) => at.inProvider(`mkdir -p /dev/dri /dev/input; ${make}`);
  const makeCard = () => inProvider(`mknod -m 660 ${CARD} c 226 0; chgrp 44 ${CARD}`);

  test('gives the consumer the numbers, mode and owner of the provider’s', async () => {
    await makeCard();
    await at.until('established', at.link());
    expect(await at.inConsumer(`${LOOK} ${CARD}; stat -c %a /dev/dri`)).toBe(
      `${SPECIAL} e2:0 660 0:44\n755`,
    );
    await at.daemon.clear();
    expect(await at.inConsumer('ls -A /dev/dri')).toBe('');
  });

  test('plants several of one provider, cards, renderers and input devices', async () => {
    await makeCard();
    await inProvider('mknod /dev/dri/renderD128 c 226 128; mknod /dev/input/event3 c 13 67');
    const render = { name: 'render', socket: '/dev/dri/renderD128', target: '/dev/dri/renderD128' };
    const keys = {
      name: 'keys',
      type: 'input',
      socket: '/dev/input/event3',
      target: '/run/dev/keys',
    };
    const links = [at.link({ role: 'master' }), at.link({ ...render, role: 'render' })];
    await at.until('established', ...links, at.link(keys));
    expect(await at.inConsumer(`${LOOK} /dev/dri/* /run/dev/keys`)).toBe(
      [`${SPECIAL} e2:0 660 0:44`, `${SPECIAL} e2:80 644 0:0`, `${SPECIAL} d:43 644 0:0`].join(
        '\n',
      ),
    );
  });

  test('waits for the device behind a node, and follows it', async () => {
    await makeCard();
    onTestFinished(() => at.host.setDriven('226:0', true));
    at.host.setDriven('226:0', false);
    expect(await at.refused('device-missing', at.link())).toMatch(/no device behind it/);
    expect(await at.inConsumer('test -e /dev/dri/card0 || echo none')).toBe('none');
    at.host.setDriven('226:0', true);
    await at.daemon.until({ card: 'established' });
    at.host.setDriven('226:0', false);
    await at.daemon.until({ card: 'waiting' });
  });

  test('waits for a device that is not there, and follows it when it leaves', async () => {
    expect(await at.refused('device-missing', at.link())).toBe(
      `${CARD} in provider: it is not there, a drm device was expected.`,
    );
    await makeCard();
    await at.daemon.until({ card: 'established' });
    await at.inProvider(`rm ${CARD}`);
    await at.daemon.until({ card: 'waiting' });
    expect(await at.inConsumer('ls -A /dev/dri')).toBe('');
    await makeCard();
    await at.daemon.until({ card: 'established' });
    expect(await at.inConsumer(`${LOOK} ${CARD}`)).toMatch(/e2:0/);
  });

  test('follows another mode and owner, as udev gives them a moment later', async () => {
    await inProvider(`mknod -m 600 ${CARD} c 226 0`);
    await at.until('established', at.link());
    await at.inProvider(`chown 5:44 ${CARD}; chmod 666 ${CARD}`);
    await eventually(async () =>
      expect(await at.inConsumer(`${LOOK} ${CARD}`)).toBe(`${SPECIAL} e2:0 666 5:44`),
    );
  });

  test('keeps its node while the provider is away, and takes another one’s from then on', async () => {
    await makeCard();
    await at.until('established', at.link());
    await at.provider.kill();
    await at.daemon.until({ card: 'waiting' });
    expect(await at.inConsumer(`${LOOK} ${CARD}`)).toMatch(/e2:0 660/);
    await at.provider.start();
    await inProvider(`mknod -m 640 ${CARD} c 226 0`);
    await at.until('established', at.link());
    await eventually(async () =>
      expect(await at.inConsumer(`${LOOK} ${CARD}`)).toMatch(/e2:0 640 0:0/),
    );
  });

  test('plants anew in a consumer that was restarted', async () => {
    await makeCard();
    await at.until('established', at.link());
    await at.consumer.restart();
    await at.until('established', at.link());
    expect(await at.inConsumer(`${LOOK} ${CARD}`)).toMatch(/e2:0/);
  });

  test('plants in a consumer with users of its own, its owner translated', async () => {
    await makeCard();
    await at.withContainer({ name: 'consumer', userns: true }, async (own) => {
      await at.until('established', at.link({ consumer_pid: own.pid }));
      const { stdout } = await own.exec(['sh', '-c', `${LOOK} ${CARD}`]);
      expect(stdout.trim()).toBe(`${SPECIAL} e2:0 660 0:44`);
      expect(statSync(`${own.rootDir}${CARD}`).uid).toBe(100_000);
    });
  });

  test('mounts it where such a consumer has mounted /dev itself', async () => {
    await makeCard();
    const own = await startContainer({ name: 'consumer', userns: true });
    const sh = async (script: string) => (await own.exec(['sh', '-c', script])).stdout.trim();
    try {
      await sh('mount -t tmpfs none /dev');
      await at.until('established', at.link({ consumer_pid: own.pid }));
      expect(await sh(`${LOOK} ${CARD}; cat ${CARD} 2>&1`)).toMatch(
        /e2:0 660 0:44\n.*No such device/,
      );
      await at.daemon.clear();
      expect(await sh(`ls -A /dev/dri; grep -c dri /proc/mounts`)).toBe('0');
    } finally {
      await own.kill();
    }
  });

  test('adopts the same device that is there, and leaves it when the link goes', async () => {
    await makeCard();
    await at.inConsumer(`mkdir -p /dev/dri; mknod -m 600 ${CARD} c 226 0`);
    await at.until('established', at.link());
    await at.daemon.clear();
    expect(await at.inConsumer(`${LOOK} ${CARD}`)).toMatch(/e2:0 600/);
  });

  test('is failed where something else is at the target, and works once that is gone', async () => {
    await makeCard();
    await at.inConsumer(`mkdir -p /dev/dri; mknod ${CARD} c 226 1`);
    const [shown] = await at.until('failed', at.link());
    expect(shown?.last_error).toMatchObject({
      code: 'target-occupied',
      message: `No device at ${CARD} in consumer: something else than that device is there, and was left untouched.`,
    });
    await at.inConsumer(`rm ${CARD}`);
    await at.daemon.until({ card: 'established' });
  });

  test('leaves a node that took the place of ours', async () => {
    await makeCard();
    await at.until('established', at.link());
    await at.inConsumer(`rm ${CARD}; echo mine > ${CARD}`);
    await at.daemon.clear();
    expect(await at.inConsumer(`cat ${CARD}`)).toBe('mine');
  });

  test('is removed with a daemon that is killed', async () => {
    await makeCard();
    await at.until('established', at.link());
    await at.daemon.kill();
    await eventually(async () => expect(await at.inConsumer('ls -A /dev/dri')).toBe(''));
    await at.daemon.launch();
  });

  test.each([
    ['read-only', { access: 'ro' }],
    ['a lease', { lease: ['HDMI-A-1'] }],
  ])('is refused where the export is %s: a node can not be limited', async (_name, limit) => {
    await makeCard();
    await at.refused('device-fd-only', at.link(limit));
    expect(await at.inConsumer('ls /dev/dri 2>&1')).toMatch(/No such file/);
  });

  test('of a type that changes its mode is made anew', async () => {
    await makeCard();
    await at.until('established', at.link());
    await at.until('established', at.link({ device: 'fd' }));
    await eventually(async () => expect(await at.inConsumer(`stat -c %F ${CARD}`)).toBe('socket'));
    await at.until('established', at.link({ device: 'node' }));
    await eventually(async () => expect(await at.inConsumer(`stat -c %F ${CARD}`)).toBe(SPECIAL));
  });

  describe('to the host itself, provider _pv_', () => {
    const hosts = { provider: '_pv_', provider_pid: 0 };
    afterEach(() => {
      at.host.remove(CARD);
    });

    test('gives the host’s device, and follows it', async () => {
      at.host.mknod(CARD, 226, 0, '640');
      await at.until('established', at.link(hosts));
      expect(await at.inConsumer(`${LOOK} ${CARD}`)).toBe(`${SPECIAL} e2:0 640 0:0`);
      at.host.remove(CARD);
      await at.daemon.until({ card: 'waiting' });
      expect(await at.inConsumer('ls -A /dev/dri')).toBe('');
      at.host.mknod(CARD, 226, 0, '640');
      await at.daemon.until({ card: 'established' });
    });

    test('gives nothing else of the host', async () => {
      await at.refused('device-wrong', at.link({ ...hosts, socket: '/dev/null' }));
      expect(await at.inConsumer('ls /dev/dri 2>&1')).toMatch(/No such file/);
    });
  });
});
