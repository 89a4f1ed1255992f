/** The containers that other suites stand on are what they claim to be. */
import { once } from 'node:events';
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type ContainerOptions,
  startContainer,
  type TestContainer,
} from '../../support/container.js';

describe('a container for tests', () => {
  const open: TestContainer[] = [];
  afterEach(async () => {
    for (const container of open.splice(0)) await container.kill();
  });

  async function start(options: Partial<ContainerOptions> = {}): Promise<TestContainer> {
    const container = await startContainer({ name: 'box', ...options });
    open.push(container);
    return container;
  }

  test('runs programs in its own root, as its root, with their output and exit code', async () => {
    const box = await start();
    const { code, stdout } = await box.exec(['sh', '-c', 'hostname; id -u; ls -d /work; exit 3']);
    expect([code, stdout]).toEqual([3, 'box\n0\n']);
    const [python, node] = await Promise.all([
      box.exec(['python3', '-c', 'print(6 * 7)']),
      box.exec(['node', '-p', '6 * 7']),
    ]);
    expect([python.stdout, node.stdout]).toEqual(['42\n', '42\n']);
    expect((await box.exec(['cat'], { input: 'hello' })).stdout).toBe('hello');
  });

  test('has namespaces of its own, and the network and users only on request', async () => {
    const plain = await start();
    const full = await start({ net: true, userns: true });
    const shared = (box: TestContainer) =>
      ['mnt', 'pid', 'uts', 'ipc', 'net', 'user'].filter(
        (name) =>
          readlinkSync(`/proc/${box.pid}/ns/${name}`) === readlinkSync(`/proc/self/ns/${name}`),
      );
    expect(shared(plain)).toEqual(['net', 'user']);
    expect(shared(full)).toEqual([]);
    expect(readFileSync(`/proc/${full.pid}/uid_map`, 'utf8').trim()).toMatch(/^0 +100000 +65536$/);
    const { stdout } = await full.exec(['sh', '-c', 'id -u; echo x > /run/x; stat -c %u /run/x']);
    expect(stdout).toBe('0\n0\n');
  });

  test('shows its files to the host below rootDir, and takes files from there', async () => {
    const box = await start();
    await box.exec(['sh', '-c', 'echo inside > /run/a; echo root > /b']);
    expect(readFileSync(join(box.rootDir, 'run/a'), 'utf8')).toBe('inside\n');
    expect(readFileSync(join(box.rootDir, 'b'), 'utf8')).toBe('root\n');
    writeFileSync(join(box.rootDir, 'run/c'), 'outside');
    expect((await box.exec(['cat', '/run/c'])).stdout).toBe('outside');
  });

  test('can be read-only throughout', async () => {
    const box = await start({ readOnly: true });
    const { stdout } = await box.exec([
      'sh',
      '-c',
      'for d in / /run /tmp /etc; do (echo > $d/x) 2>&- && echo $d; done; echo end',
    ]);
    expect(stdout).toBe('end\n');
  });

  test('takes every process along when it is killed, and leaves nothing mounted', async () => {
    const box = await start();
    const child = box.run(['sh', '-c', 'setsid sleep 1000 & echo $!; wait']);
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    const exited = once(child, 'exit');
    await box.kill();
    await exited;
    expect(existsSync(`/proc/${box.pid}`)).toBe(false);
    expect(existsSync(box.rootDir)).toBe(false);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(box.rootDir);
  });

  test('ends a program that is killed from here, and one that takes too long', async () => {
    const box = await start();
    const child = box.run(['sh', '-c', 'echo started; exec sleep 1000']);
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect((await box.exec(['sleep', '1000'], { timeout: 100 })).code).toBe(null);
    const { stdout } = await box.exec(['sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "']);
    expect(stdout).not.toContain('sleep');
  });

  test('comes back under its name with another pid and a fresh root', async () => {
    const box = await start();
    const before = box.pid;
    await box.exec(['touch', '/run/old']);
    await box.restart();
    expect(box.pid).not.toBe(before);
    expect((await box.exec(['ls', '/run'])).stdout).toBe('');
  });

  test('is gone, mounts and all, when its init is killed from outside', async () => {
    const box = await start();
    process.kill(box.pid, 'SIGKILL');
    await box.kill();
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(box.rootDir);
  });
});
