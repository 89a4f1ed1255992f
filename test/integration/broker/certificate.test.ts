/** The folder of certificates: its files, and nothing else of the host. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startBroker, type TestBroker } from '../../support/broker.js';

const MOST = 64 * 1024;

describe('reading certificates', () => {
  let folder: string;
  let host: TestBroker;
  beforeAll(async () => {
    const parent = mkdtempSync(join(tmpdir(), 'pvx-folder-'));
    folder = join(parent, 'certificates');
    mkdirSync(join(folder, 'site'), { recursive: true });
    writeFileSync(join(parent, 'secret'), 'secret');
    writeFileSync(join(folder, 'site/cert.pem'), 'a certificate');
    writeFileSync(join(folder, 'most'), Buffer.alloc(MOST));
    writeFileSync(join(folder, 'more'), Buffer.alloc(MOST + 1));
    symlinkSync('site/cert.pem', join(folder, 'current.pem'));
    symlinkSync('../secret', join(folder, 'relative'));
    symlinkSync(join(parent, 'secret'), join(folder, 'absolute'));
    symlinkSync('/proc/self/environ', join(folder, 'magic'));
    host = await startBroker({
      args: ['--runtime', '/nonexistent', '--certificates', folder],
    });
  });
  afterAll(async () => {
    await host?.stop();
    rmSync(join(folder, '..'), { recursive: true, force: true });
  });

  const read = async (path: string) => {
    const found = await host.broker.readCertificate(path);
    return found.ok ? found.value.toString('latin1') : found.errno;
  };

  test('gives a file whole, through a symlink of the folder too', async () => {
    expect(await read('/site/cert.pem')).toBe('a certificate');
    expect(await read('/current.pem')).toBe('a certificate');
    expect((await read('/most')).length).toBe(MOST);
  });

  test.each([
    ['/missing', 'ENOENT'],
    ['/more', 'EFBIG'],
    ['/site', 'EINVAL'],
    ['/relative', 'ENOENT'],
    ['/absolute', 'ENOENT'],
    ['/magic', 'ENOENT'],
    ['/../secret', 'EINVAL'],
    ['site/cert.pem', 'EINVAL'],
  ])('%s is %s', async (path, errno) => {
    expect(await read(path)).toBe(errno);
  });
});
