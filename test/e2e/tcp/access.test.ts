/** Who may connect, how many at once, and what the provider is told of them, by providers that no one here wrote. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { request } from '../../support/daemon.js';
import type { WireLink } from '../../support/link.js';
import { has } from '../../support/requirements.js';
import { pause } from '../../support/wait.js';
import { SERVED, useNetworkedPair } from './support.js';

const FRONTEND = readFileSync(new URL('./haproxy.cfg', import.meta.url), 'utf8');
const NGINX = readFileSync(new URL('./nginx.conf', import.meta.url), 'utf8');
const REQUEST = 'GET / HTTP/1.0\r\n\r\n';

describe('the clients of a tcp link', () => {
  const pair = useNetworkedPair('--drain', '0');

  const shown = async () => (await pair.daemon.shown())[0]?.connections;

  describe('with max_connections', () => {
    test('wait for their turn, in the order that they came in', async () => {
      await pair.serve('serve-echo');
      await pair.ingressEstablished({ max_connections: 2 });
      const held = await pair.start(pair.consumer, 'hold', pair.address, '2');
      await pair.daemon.untilActive(2);
      const waiting = pair.ask('ask', pair.address, 'my turn');
      await pause(300); // it may not be accepted: what the backlog holds, nobody tells
      expect(await shown()).toEqual({ active: 2, total: 2, full: true, most: 2 });
      await held.end();
      expect(await waiting).toBe('my turn');
    });
  });

  describe('with allow_from', () => {
    const own = () => `${pair.wires.consumer.container}/32`;

    test.each([
      { networks: () => [own()] },
      { networks: () => ['192.0.2.0/24', '10.213.50.0/25'] },
      { networks: () => ['0.0.0.0/0'] },
    ])('are let in from a network that is named', async ({ networks }) => {
      await pair.serve('serve-echo');
      await pair.ingressEstablished({ allow_from: networks() });
      expect(await pair.ask('ask', pair.address, 'let me in')).toBe('let me in');
    });

    test.each([
      { networks: ['192.0.2.0/24'] },
      { networks: ['10.213.50.128/25'] },
      { networks: ['::/0'] },
      { networks: [] },
    ])('are closed at once, and counted, from any other: $networks', async ({ networks }) => {
      await pair.serve('serve-echo');
      await pair.ingressEstablished({ allow_from: networks });
      const answer = await pair.consumer.exec(['socat', '-t5', '-', `TCP:${pair.address}`], {
        input: 'let me in',
      });
      expect(answer.stdout).toBe('');
      expect(await shown()).toEqual({ active: 0, total: 0 });
      const metrics = String(await request(pair.daemon.control, '/metrics'));
      expect(metrics).toMatch(/closes_total\{[^}]*reason="not-allowed"\} 1/);
    });

    test('over IPv6 are told apart by IPv6 networks', async () => {
      await pair.serve('serve-echo');
      const target = `[${pair.wires.consumer.host6}]:8022`;
      await pair.ingressEstablished({ target, allow_from: ['fd00:213:50::/48'] });
      expect(await pair.ask('ask', target, 'six')).toBe('six');
      await pair.ingressEstablished({ target, allow_from: ['fd00:214::/32', '0.0.0.0/0'] });
      expect(await pair.ask('end', target, '')).toMatch(/eof|reset/);
      expect(await shown()).toEqual({ active: 0, total: 1 });
    });

    test('that were let in stay when the list is narrowed only after their drain time', async () => {
      await pair.serve('serve-echo');
      await pair.ingressEstablished({ allow_from: [own()] });
      const held = await pair.start(pair.consumer, 'hold', pair.address, '1');
      await pair.daemon.untilActive(1);
      await pair.ingressEstablished({ allow_from: [] });
      await pair.daemon.untilActive(0);
      await held.end();
    });
  });

  describe('with proxy_protocol', () => {
    /** Runs the program in the provider with this configuration, and waits until it listens. */
    async function serve(program: string, configuration: string, link: Partial<WireLink>) {
      const said = pair.provide(
        ['sh', '-c', `cat >/run/configuration && exec ${program}`],
        configuration,
      );
      try {
        await pair.ingressEstablished(link);
      } catch (cause) {
        throw new Error(said.stderr, { cause });
      }
    }

    const client = async (address: string) => {
      const asked = await pair.consumer.exec(['socat', '-t5', '-', address], { input: REQUEST });
      return asked.stdout.split('\r\n\r\n')[1];
    };

    for (const version of [1, 2] as const) {
      test.runIf(has('haproxy'))(`${version} are known to HAProxy by their address`, async () => {
        const fields = { proxy_protocol: version };
        await serve('haproxy -db -f /run/configuration', FRONTEND, fields);
        const { consumer } = pair.wires;
        expect(await client(`TCP:${pair.address},sourceport=40${version}01`)).toBe(
          `${consumer.container} 40${version}01 ${consumer.host} 8022\n`,
        );
      });

      test.runIf(has('nginx'))(`${version} are known to nginx by their IPv6 address`, async () => {
        const { host6, container6 } = pair.wires.consumer;
        const fields = { proxy_protocol: version, target: `[${host6}]:8022` };
        await serve('nginx -c /run/configuration', NGINX, fields);
        expect(await client(`TCP6:[${host6}]:8022,sourceport=41${version}01`)).toBe(
          `${container6} 41${version}01 ${host6} 8022\n`,
        );
      });

      test.runIf(has('haproxy'))(
        `${version} that come by a unix socket are nobody to HAProxy, and answered`,
        async () => {
          await serve('haproxy -db -f /run/configuration', FRONTEND, {
            ...pair.link({ transport: 'tcp', socket: SERVED }),
            proxy_protocol: version,
          });
          const answer = await client('UNIX:/run/pv/services/raw.sock');
          expect(answer).toMatch(/^127.0.0.1 \d+ 127.0.0.1 4000\n$/); // as it sees us itself
        },
      );
    }

    test('2 begin with the header, and lose none of what they said before the provider came', async () => {
      pair.daemon.set(pair.ingress({ proxy_protocol: 2 }));
      await pair.daemon.until({ raw: 'waiting' });
      const early = pair.ask('flood', pair.address, String(1024 * 1024));
      const provider = await pair.serve('serve-count');
      const [, , count] = (await early).split(' ');
      expect(Number(count)).toBe(1024 * 1024 + 28);
      provider.kill();
    });
  });
});
