/** Bad luck on purpose: killed peers, restarts in the middle, addresses that are taken or not there yet. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { has } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { MiB } from '../unix/flows.js';
import { SERVED, useNetworkedPair } from './support.js';

describe('a tcp link in bad luck', () => {
  const pair = useNetworkedPair('--drain', '1');

  test('a connection waits for a provider that does not listen yet', async () => {
    pair.daemon.set(pair.ingress());
    await eventually(async () => {
      const [shown] = await pair.daemon.until({ raw: 'waiting' });
      expect(shown?.last_error?.code).toBe('provider-socket-missing');
    });
    const early = pair.ask('ask', pair.address, 'early');
    await pair.daemon.untilActive(1);
    await pair.serve('serve-echo');
    expect(await early).toBe('early');
    await pair.daemon.until({ raw: 'established' });
  });

  test('and is closed when it does not come in time', async () => {
    pair.daemon.set(pair.ingress());
    await pair.daemon.until({ raw: 'waiting' });
    const began = Date.now();
    expect(await pair.ask('end', pair.address, '')).toMatch(/eof|reset/);
    expect(Date.now() - began).toBeGreaterThan(2_500);
  });

  test('a provider that is killed ends its connections, and the next one serves', async () => {
    const first = await pair.serve('serve-echo');
    await pair.ingressEstablished();
    const held = await pair.start(pair.consumer, 'hold', pair.address, '3');
    await pair.daemon.untilActive(3);
    first.kill();
    await pair.untilNobodyListens();
    const waiting = pair.ask('ask', pair.address, 'anybody?');
    await pair.serve('serve-echo');
    expect(await waiting).toBe('anybody?');
    await held.end();
    await pair.daemon.untilActive(0);
  });

  test('a provider container that is restarted serves again at the same listener', async () => {
    await pair.serve('serve-echo');
    await pair.ingressEstablished();
    const listener = inodeOf(pair.daemon.pid, 8022);
    await pair.provider.restart();
    await pair.plugProviderIn();
    pair.daemon.set(pair.ingress());
    await pair.serve('serve-echo');
    await pair.daemon.until({ raw: 'established' });
    expect(await pair.ask('ask', pair.address, 'again')).toBe('again');
    expect(inodeOf(pair.daemon.pid, 8022)).toBe(listener);
  });

  test('after the daemon was killed the listener is back at once, whatever is left of its connections', async () => {
    await pair.serve('serve-flood', String(MiB));
    await pair.ingressEstablished();
    const held = await pair.start(pair.consumer, 'hold', pair.address, '5');
    await pair.daemon.untilActive(5);
    await pair.daemon.kill();
    await pair.daemon.launch();
    await pair.daemon.until({ raw: 'established' });
    const answer = await pair.ask('both', pair.address, String(MiB));
    expect(answer.split(' ')[2]).toBe(String(MiB));
    held.kill();
  });

  test('an address that somebody else has is said so, and taken once they are gone', async () => {
    await pair.serve('serve-echo');
    const taken = `${pair.wires.consumer.container}:8023`;
    const other = await pair.start(pair.consumer, 'serve-hold', taken);
    const link = pair.link({ type: 'tcp', target: taken, socket: SERVED });
    pair.daemon.set(link);
    const [shown] = await pair.daemon.until({ raw: 'failed' });
    expect(shown?.last_error).toMatchObject({
      code: 'target-occupied',
      message: `No listener at ${taken} in consumer: another process, or another link, listens there.`,
    });
    other.kill();
    await pair.daemon.until({ raw: 'established' });
    expect(await pair.ask('ask', taken, 'mine')).toBe('mine');
  });

  test('an address that no interface has is said so, and taken once one has it', async () => {
    await pair.serve('serve-echo');
    const target = '10.213.50.77:8024';
    pair.daemon.set(pair.link({ type: 'tcp', target, socket: SERVED }));
    const [shown] = await pair.daemon.until({ raw: 'failed' });
    expect(shown?.last_error?.code).toBe('target-unreachable');
    await pair.consumer.exec(['ip', 'addr', 'add', '10.213.50.77/32', 'dev', 'eth0']);
    await pair.daemon.until({ raw: 'established' });
    expect(await pair.ask('ask', target, 'there')).toBe('there');
  });

  test('links that come, go and fail touch no connection of another', async () => {
    await pair.serve('serve-echo');
    const [kept, other] = [
      pair.ingress(),
      pair.ingress({ name: 'b', target: `${pair.host}:8030` }),
    ];
    const bad = pair.ingress({ name: 'c', target: '203.0.113.9:1' });
    pair.daemon.set(kept);
    await pair.daemon.until({ raw: 'established' });
    const held = await pair.start(pair.consumer, 'hold', pair.address, '1');
    const listener = inodeOf(pair.daemon.pid, 8022);
    for (let i = 0; i < 5; i++) {
      pair.daemon.set(kept, other, bad);
      await pair.daemon.until({ raw: 'established', b: 'established', c: 'failed' });
      pair.daemon.set(kept);
      await pair.daemon.until({ raw: 'established' });
    }
    expect((await pair.daemon.shown())[0]?.connections).toEqual({ active: 1, total: 1 });
    expect(inodeOf(pair.daemon.pid, 8022)).toBe(listener);
    await held.end();
  });

  test('a link that leaves gives its address back, and its connections a time to end', async () => {
    await pair.serve('serve-echo');
    await pair.ingressEstablished();
    const held = await pair.start(pair.consumer, 'hold', pair.address, '1');
    await pair.daemon.untilActive(1);
    pair.daemon.set();
    await eventually(() => expect(() => inodeOf(pair.daemon.pid, 8022)).toThrow());
    await eventually(async () => expect(await pair.daemon.shown()).toEqual([]));
    await held.end();
  });

  test.runIf(has('socat') && has('curl'))(
    'clients and providers of others go through it: curl to python, socat to socat',
    async () => {
      pair.provide(['python3', '-m', 'http.server', '4000', '-b', '127.0.0.1']);
      pair.provide(['socat', 'TCP-LISTEN:4005,bind=127.0.0.1,fork', 'EXEC:tr a-z A-Z']);
      const shout = pair.ingress({
        name: 'b',
        target: `${pair.host}:8030`,
        socket: '127.0.0.1:4005',
      });
      pair.daemon.set(pair.ingress(), shout);
      await pair.daemon.until({ raw: 'established', b: 'established' });
      const url = `http://${pair.address}/usr/share/common-licenses/GPL-3`;
      const fetched = await pair.consumer.exec(['curl', '-sS', '--max-time', '10', url]);
      expect(fetched.stdout).toBe(readFileSync('/usr/share/common-licenses/GPL-3', 'utf8'));
      const socat = ['socat', '-t10', '-', `TCP:${pair.host}:8030`];
      const answer = await pair.consumer.exec(socat, { input: 'shout this' });
      expect(answer.stdout).toBe('SHOUT THIS');
    },
  );
});

/** Which socket of that process listens at the port of the host. Throws where none does. */
function inodeOf(pid: number, port: number): string {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const line = readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .map((text) => text.trim().split(/\s+/))
    .find((fields) => fields[1]?.endsWith(`:${hex}`) && fields[3] === '0A');
  if (!line?.[9]) throw new Error(`nobody listens at ${port}`);
  return line[9];
}
