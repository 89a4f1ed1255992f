/** Redis: redis-cli and redis-benchmark at their server through a unix link and through a tcp link. */
import { beforeAll, describe, expect, test } from 'vitest';
import { has } from '../../support/requirements.js';
import { someBytes } from '../../support/some-bytes.js';
import { eventually } from '../../support/wait.js';
import { useStockPair } from './support.js';

const SOCKET = '/run/redis/redis.sock';
const ADDRESS = '127.0.0.1:6379';
const tools = ['redis-server', 'redis-cli', 'redis-benchmark'];

describe.runIf(tools.every(has)).each([
  { type: 'unix', at: `-s ${SOCKET}`, socket: SOCKET, target: SOCKET },
  { type: 'tcp', at: '-h 127.0.0.1', socket: ADDRESS, target: ADDRESS },
])('Redis through a $type link', ({ type, at, socket, target }) => {
  const pair = useStockPair({ name: 'cache', type, interface: type, socket, target });
  const cli = `redis-cli ${at}`;

  beforeAll(async () => {
    await pair.provider.exec(['install', '-d', '-o', 'tester', '/run/redis']);
    pair.serve(`cd /tmp; exec redis-server --unixsocket ${SOCKET} --bind 127.0.0.1 --save "" \\
      --enable-debug-command yes`);
    await eventually(async () => {
      expect((await pair.sh(pair.provider, `${cli} ping`)).output).toBe('PONG\n');
    });
    await pair.establish();
  });

  test('keeps what it is given, byte by byte', async () => {
    const value = someBytes(4 << 20);
    const { direct, through } = await pair.both(
      `${cli} flushall; ${cli} -x set value; ${cli} debug digest; ${cli} get value | md5sum`,
      value,
    );
    expect(direct.output).toMatch(/^OK\nOK\n[0-9a-f]{40}\n[0-9a-f]{32} {2}-\n$/);
    expect(through).toEqual(direct);
  });

  test('takes thousands of commands in one pipe', async () => {
    const commands = Array.from(
      { length: 20_000 },
      (_, i) => `SET key${i} ${'v'.repeat(i % 50)}x\n`,
    );
    const { direct, through } = await pair.both(
      `${cli} flushall; ${cli} --pipe; ${cli} dbsize; ${cli} debug digest`,
      Buffer.from(commands.join('')),
    );
    expect(direct.output).toContain('errors: 0, replies: 20000');
    expect(through).toEqual(direct);
  });

  test('brings subscribers what is published', async () => {
    const heard: string[][] = [];
    for (const container of [pair.provider, pair.consumer]) {
      const subscriber = pair.session(container, `exec ${cli} subscribe news`);
      const lines: string[] = [];
      while (lines.length < 3) lines.push(await subscriber.line());
      for (const word of ['one', 'two']) {
        expect((await pair.sh(container, `${cli} publish news ${word}`)).output).toBe('1\n');
      }
      while (lines.length < 9) lines.push(await subscriber.line());
      subscriber.kill();
      await eventually(async () => {
        expect((await pair.sh(container, `${cli} publish news gone`)).output).toBe('0\n');
      });
      heard.push(lines);
    }
    expect(heard[0]?.slice(3)).toEqual(['message', 'news', 'one', 'message', 'news', 'two']);
    expect(heard[1]).toEqual(heard[0]);
  });

  test('bears 50 clients at once that pipeline', async () => {
    const { direct, through } = await pair.both(
      `redis-benchmark ${at} -c 50 -n 20000 -P 16 -t ping,set,get,lrange_100 -q > /tmp/figures 2>&1 &&
        tr '\\r' '\\n' < /tmp/figures | grep -c 'requests per second'`,
    );
    expect(direct).toEqual({ code: 0, output: '6\n' });
    expect(through).toEqual(direct);
  });
});
