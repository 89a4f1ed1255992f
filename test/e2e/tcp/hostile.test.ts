/** Clients and providers that mean no good: what they do stays with themselves. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { countOpenFiles } from '../../support/open-files.js';
import { ticksOf } from '../../support/processes.js';
import { eventually } from '../../support/wait.js';
import { useNetworkedPair } from './support.js';

const PROGRAM = readFileSync(new URL('./hostile.py', import.meta.url), 'utf8');

describe('a tcp link with hostile ends', () => {
  const pair = useNetworkedPair('--drain', '0');

  const hostile = (mode: string, ...args: string[]) => {
    const argv = ['python3', '-c', PROGRAM, mode, ...args];
    return pair.consumer.exec(argv, { timeout: 60_000 });
  };
  const ends = async (mode: string, ...args: string[]) => {
    const { stdout, stderr } = await hostile(mode, pair.host, '8022', ...args);
    if (stdout === '') throw new Error(stderr);
    return stdout.trim();
  };
  const openFiles = () => countOpenFiles(pair.daemon.relayPid);

  test('2,000 clients that reset at once leave nothing behind', async () => {
    await pair.serve('serve-echo');
    await pair.ingressEstablished();
    expect(await ends('storm', '100')).toBe('done');
    await pair.ask('ask', pair.address, 'warm');
    const before = openFiles();
    expect(await ends('storm', '2000')).toBe('done');
    expect(await pair.ask('ask', pair.address, 'still here')).toBe('still here');
    await eventually(async () => {
      expect((await pair.daemon.shown())[0]?.connections.active).toBe(0);
      expect(openFiles()).toBeLessThanOrEqual(before + 10); // pipes that the relay keeps
    });
  });

  test('clients that may not connect keep nobody waiting who may', async () => {
    await pair.serve('serve-echo');
    await pair.consumer.exec(['ip', 'addr', 'add', '10.213.50.66/32', 'dev', 'eth0']);
    const allow_from = [`${pair.wires.consumer.container}/32`];
    await pair.ingressEstablished({ allow_from, max_connections: 1 });
    const storm = ends('storm', '3000', '10.213.50.66');
    for (let i = 0; i < 10; i++)
      expect(await pair.ask('ask', pair.address, `in ${i}`)).toBe(`in ${i}`);
    expect(await storm).toBe('done');
    expect((await pair.daemon.shown())[0]?.connections.total).toBe(10);
  });

  test('a header of the PROXY protocol that a client made up comes behind ours', async () => {
    await pair.serve('serve-echo');
    await pair.ingressEstablished({ proxy_protocol: 1 });
    const forged = 'PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n';
    const lines = (await pair.ask('ask', pair.address, forged)).split(/\r?\n/);
    expect(lines[0]).toMatch(/^PROXY TCP4 10\.213\.50\.2 10\.213\.50\.1 \d+ 8022$/);
    expect(lines[1]).toBe(forged.trim());
  });

  test('urgent data is part of the stream, and keeps nobody busy', async () => {
    await pair.serve('serve-echo');
    await pair.ingressEstablished();
    const before = ticksOf(pair.daemon.relayPid);
    expect(await ends('urgent')).toBe('before !after');
    expect(ticksOf(pair.daemon.relayPid) - before).toBeLessThan(50);
  });

  test('a provider that accepts nobody holds up its own clients, and only as long as they may wait', async () => {
    pair.provide(['python3', '-c', PROGRAM, 'deaf', '127.0.0.1', '4000']);
    pair.provide(['socat', 'TCP-LISTEN:4005,bind=127.0.0.1,fork', 'EXEC:cat']);
    const other = pair.ingress({
      name: 'other',
      target: `${pair.host}:8030`,
      socket: '127.0.0.1:4005',
    });
    pair.daemon.set(pair.ingress(), other);
    await pair.daemon.until({ raw: 'established', other: 'established' });
    const held = await pair.start(pair.consumer, 'hold', pair.address, '20');
    expect(await pair.ask('ask', `${pair.host}:8030`, 'not me')).toBe('not me');
    // The kernel took the first few for the provider. The others are closed when their time is up.
    await eventually(
      async () => {
        expect((await pair.daemon.shown())[0]?.connections.active).toBeLessThan(5);
      },
      { timeoutMs: 10_000 },
    );
    await held.end();
  });

  test('of a provider that keeps ending, nobody is told what was for another', async () => {
    pair.provide(['python3', '-c', PROGRAM, 'moody', '127.0.0.1', '4000']);
    await pair.ingressEstablished();
    const [answered = 0, cut, broken, wrong] = (await ends('many', '300')).split(' ').map(Number);
    expect(wrong).toBe(0);
    expect(answered).toBeGreaterThan(100);
    expect(answered + (cut ?? 0) + (broken ?? 0)).toBe(300);
  });
});
