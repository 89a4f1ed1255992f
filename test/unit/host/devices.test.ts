/** Input devices found in a sysfs of the test's own, and what errnos of devices mean to a person. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deviceError, deviceMissing, plantError } from '../../../src/host/errno.js';
import { findEventDevices } from '../../../src/host/sysfs.js';
import { unixLink } from '../../support/link.js';

describe('input devices by what they are', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pvx-sysfs-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function device(name: string, files: Record<string, string>): void {
    mkdirSync(join(folder, name, 'device/id'), { recursive: true });
    for (const [file, text] of Object.entries(files)) {
      writeFileSync(join(folder, name, file), text);
    }
  }
  const named = (name: string, dev: string) => ({ dev, 'device/name': `${name}\n` });
  const found = async (match: object) =>
    (await findEventDevices(match, folder)).map(({ name }) => name);

  test('are those of which every part is the same, in order of their numbers', async () => {
    device('event10', named('Keys', '13:74\n'));
    device('event2', named('Keys', '13:66\n'));
    device('event3', { ...named('Keys', '13:67\n'), 'device/phys': 'usb-1/input0\n' });
    device('event4', named('Keyset', '13:68\n'));
    device('mouse0', named('Keys', '13:32\n'));
    expect(await found({ name: 'Keys' })).toEqual(['event2', 'event3', 'event10']);
    expect(await found({ name: 'Keys', phys: 'usb-1/input0' })).toEqual(['event3']);
    expect(await found({ name: 'Keys', phys: '' })).toEqual([]);
    expect(await findEventDevices({ name: 'Keyset' }, folder)).toEqual([
      { name: 'event4', major: 13, minor: 68 },
    ]);
  });

  test('are none where sysfs is not there, is half gone or says what it never does', async () => {
    device('event0', { 'device/name': 'Keys\n' });
    device('event1', named('Keys', 'x:y\n'));
    device('event2', { dev: '13:66\n' });
    device('event3', named('Keys\nKeys', '13:67\n'));
    expect(await found({ name: 'Keys' })).toEqual([]);
    expect(await findEventDevices({ name: 'Keys' }, join(folder, 'none'))).toEqual([]);
  });
});

describe('what went wrong with a device', () => {
  const link = unixLink({ type: 'drm', target: '/dev/dri/card0' });

  test('is of the device, or of the container that has it', () => {
    expect(deviceError(link, '/a', 'EBUSY').code).toBe('device-busy');
    expect(deviceMissing(link, '/a', 'EBUSY')).toMatchObject({
      error: { code: 'limit-reached' },
      waits: true,
    });
    expect(deviceMissing(link, '/a', 'ENOENT')).toMatchObject({
      error: { code: 'device-missing' },
      waits: true,
    });
    expect(deviceMissing(link, '/a', 'ENOTTY')).toEqual({
      ok: false,
      error: {
        code: 'device-wrong',
        message: '/a in provider: it is no character device, a drm device was expected.',
      },
      waits: false,
    });
    expect(deviceError(link, '/a', 'ESRCH').code).toBe('provider-not-running');
    expect(deviceError(link, '/a', 'EIO').code).toBe('broker-failed');
  });

  test('of planting speaks of a device', () => {
    const message = (errno: string) => plantError(link, errno).message;
    expect(message('EROFS')).toBe(
      'No device at /dev/dri/card0 in consumer: the file system there is read-only.',
    );
    expect(message('EEXIST')).toContain('something else than that device is there');
  });
});
