/**
 * The pvx-broker that is built and installed takes no device but DRM and input ones, whatever it is told: that others
 * stand in for them is a definition that only the tests' own compilation has.
 */
import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HOST } from '../../../src/broker/protocol.js';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { startBroker } from '../../support/broker.js';
import { standInBroker } from '../../support/stand-ins.js';
import { failure } from './support.js';

const DEFINITION = 'PVX_STAND_INS';
const BUILT = join(PACKAGE_ROOT, 'build/Release/pvx-broker');
const DEVICES = ['/dev/null', '/dev/zero', '/dev/full', '/dev/mem', '/dev/net/tun', '/dev/fuse'];

function filesBelow(folder: string): string[] {
  return readdirSync(join(PACKAGE_ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('the broker that is installed', () => {
  test('is built without the definition of the tests', () => {
    const built = ['binding.gyp', 'package.json'].map((name) => join(PACKAGE_ROOT, name));
    const all = [...built, ...['bin', 'scripts', 'src', 'dist', 'native'].flatMap(filesBelow)];
    const naming = all.filter((path) => readFileSync(path, 'utf8').includes(DEFINITION));
    const of = ['device.c', 'sandbox.c'].map((name) => join(PACKAGE_ROOT, 'native/broker', name));
    expect(naming).toEqual(of);
    for (const path of of) expect(readFileSync(path, 'utf8')).toContain(`#ifdef ${DEFINITION}\n`);
  });

  test('reads no environment at all, which the one of the tests does', () => {
    expect(readFileSync(BUILT).includes('getenv')).toBe(false);
    expect(readFileSync(standInBroker()).includes('getenv')).toBe(true);
  });

  test.each(['drm', 'input'] as const)('takes no other device for one of %s', async (kind) => {
    const flags = ['--stand-ins', '1', '--runtime', '/nonexistent', `-D${DEFINITION}`];
    const env = { [DEFINITION]: '1', PVX_TEST_IOCTLS: '/dev/null', NODE_ENV: 'test' };
    const built = await startBroker({ args: flags, env });
    const ofTests = await startBroker({ broker: standInBroker() });
    try {
      for (const path of DEVICES) {
        const answer = await built.broker.devices.find(HOST, kind, path);
        expect([failure('EPROTOTYPE'), failure('ENOENT')]).toContainEqual(answer);
      }
      expect(await built.broker.devices.find(HOST, kind, '/dev/null')).toEqual(
        failure('EPROTOTYPE'),
      );
      const found = await ofTests.broker.devices.find(HOST, kind, '/dev/null');
      if (!found.ok) throw new Error(found.errno);
      closeSync(found.value.fd);
    } finally {
      await built.stop();
      await ofTests.stop();
    }
  });
});
