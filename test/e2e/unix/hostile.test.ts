/** What a container may try, or simply have in the way: nothing outside it is ever touched. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { useHostFolder } from '../../support/host-folder.js';
import { TARGET, useUnixPair } from './support.js';

describe('a hostile or unlucky container', () => {
  const host = useHostFolder();
  const pair = useUnixPair('--drain', '0', '--patience', '1');
  beforeAll(async () => {
    await pair.serve('serve-echo');
  });
  afterEach(async () => {
    await pair.daemon.clear();
    await pair.consumer.exec(['rm', '-rf', '/run/pv', '/run/elsewhere', '/run/trap']);
  });

  const inConsumer = (script: string) => pair.consumer.exec(['sh', '-c', script]);
  const inProvider = (script: string) => pair.provider.exec(['sh', '-c', script]);

  test.each([
    ['a regular file', 'echo precious > $T', 'cat $T', 'precious'],
    ['a folder', 'mkdir $T; touch $T/precious', 'ls $T', 'precious'],
    ['a fifo', 'mkfifo $T', 'stat -c %F $T', 'fifo'],
    ['a device', 'mknod $T c 1 3', 'stat -c "%F %t %T" $T', 'character special file 1 3'],
    ['a symlink to nowhere', 'ln -s /run/trap $T', 'readlink $T', '/run/trap'],
    ['a symlink to a file', 'echo x > /run/trap; ln -s /run/trap $T', 'cat /run/trap', 'x'],
  ])(
    'that has %s at the target keeps it, and the link says so',
    async (_name, make, look, found) => {
      await inConsumer(`T=${TARGET}; mkdir -p /run/pv/services; ${make}`);
      pair.daemon.set(pair.link());
      const [shown] = await pair.daemon.until({ raw: 'failed' });
      expect(shown?.last_error?.code).toBe('target-occupied');
      expect((await inConsumer(`T=${TARGET}; ${look}`)).stdout.trim()).toBe(found);
    },
  );

  test('that listens at the target itself keeps its socket', async () => {
    const foreign = await pair.start(pair.consumer, 'serve-echo', TARGET);
    pair.daemon.set(pair.link());
    const [shown] = await pair.daemon.until({ raw: 'failed' });
    expect(shown?.last_error?.code).toBe('target-occupied');
    expect(await pair.ask('ask', TARGET, 'mine')).toBe('mine');
    foreign.kill();
  });

  test('that left a stale socket at the target has it replaced', async () => {
    const dead = await pair.start(pair.consumer, 'serve-hold', TARGET);
    dead.kill();
    await pair.establish();
    expect(await pair.ask('ask', TARGET, 'fresh')).toBe('fresh');
  });

  test('that frees its target has its link by the next attempt', async () => {
    await inConsumer(`mkdir -p ${TARGET}`);
    pair.daemon.set(pair.link());
    await pair.daemon.until({ raw: 'failed' });
    await inConsumer(`rmdir ${TARGET}`);
    await pair.daemon.until({ raw: 'established' });
  });

  test('whose folder on the way is an absolute symlink stays inside itself', async () => {
    await inConsumer(`mkdir -p /run/elsewhere /run/pv; ln -s /run/elsewhere /run/pv/services`);
    await pair.establish();
    expect((await inConsumer('ls /run/elsewhere')).stdout.trim()).toBe('raw.sock');
    expect(existsSync('/run/elsewhere')).toBe(false);
    expect(await pair.ask('ask', TARGET, 'inside')).toBe('inside');
  });

  test('whose provider socket is an absolute symlink is followed inside the provider only', async () => {
    await inProvider('ln -sfn /run/example/raw.sock /run/example/linked.sock');
    await pair.establish({ socket: '/run/example/linked.sock' });
    expect(await pair.ask('ask', TARGET, 'linked')).toBe('linked');
    const path = join(host, 'file');
    writeFileSync(path, 'host');
    await inProvider(`ln -sfn ${path} /run/example/escape.sock`);
    pair.daemon.set(pair.link({ socket: '/run/example/escape.sock' }));
    const [shown] = await pair.daemon.until({ raw: 'waiting' });
    expect(shown?.last_error?.code).toBe('provider-socket-missing');
    expect(readFileSync(path, 'utf8')).toBe('host');
  });

  test.each(['/run/../run/x.sock', '/../../run/x.sock', '/run/x/..', 'run/x.sock', '/'])(
    'that names its target %j is refused',
    async (target) => {
      pair.daemon.set(pair.link({ target }));
      const [shown] = await pair.daemon.until({ raw: 'failed' });
      expect(shown?.last_error?.code).toMatch(/^target-/);
    },
  );

  test('that names no target has it at the usual place', async () => {
    pair.daemon.set(pair.link({ target: '' }));
    const [shown] = await pair.daemon.until({ raw: 'established' });
    expect(shown?.target).toBe('/run/pv/services/raw.sock');
  });

  test.each(['/proc/self/root/run/x.sock', '/proc/1/root/run/x.sock', '/proc/self/cwd/x.sock'])(
    'that names its target by the magic link %s gets nothing',
    async (target) => {
      pair.daemon.set(pair.link({ target }));
      const [shown] = await pair.daemon.until({ raw: 'failed' });
      expect(shown?.last_error?.code).toMatch(/^target-/);
      expect(existsSync('/run/x.sock')).toBe(false);
    },
  );

  test('whose provider path goes through a magic link reaches nothing', async () => {
    pair.daemon.set(pair.link({ socket: '/proc/1/root/run/example/raw.sock' }));
    const [shown] = await pair.daemon.until({ raw: 'failed' });
    expect(shown?.last_error?.code).toBe('provider-socket-missing');
  });

  test('whose provider socket is a regular file is failed with what was found', async () => {
    await inProvider('echo x > /run/example/file');
    pair.daemon.set(pair.link({ socket: '/run/example/file' }));
    const [shown] = await pair.daemon.until({ raw: 'failed' });
    expect(shown?.last_error?.code).toBe('provider-not-a-socket');
  });

  test('with a read-only file system says so, and works where it can be written', async () => {
    await pair.withContainer({ name: 'consumer', readOnly: true }, async (readOnly) => {
      pair.daemon.set(pair.link({ consumer_pid: readOnly.pid, target: '/etc/raw.sock' }));
      const [shown] = await pair.daemon.until({ raw: 'failed' });
      expect(shown?.last_error?.code).toBe('target-read-only');
    });
  });

  test('in a user namespace of its own has its link, owned by its own root', async () => {
    await pair.withContainer({ name: 'consumer', userns: true }, async (own) => {
      await pair.establish({ consumer_pid: own.pid });
      const { stdout } = await own.exec(['stat', '-c', '%u %g %a', TARGET]);
      expect(stdout.trim()).toBe('0 0 666');
    });
  });

  test('that replaced our socket by its own keeps that when the link goes', async () => {
    await pair.establish();
    await inConsumer(`rm ${TARGET}; echo mine > ${TARGET}`);
    await pair.daemon.clear();
    expect((await inConsumer(`cat ${TARGET}`)).stdout.trim()).toBe('mine');
  });
});
