/** Who may connect, as the relay decides it, held against Node.js's own net.BlockList over random rules. */
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HOST } from '../../../src/broker/protocol.js';
import type { Cidr } from '../../../src/kernel/ip-address.js';
import { startHost, type TestHost } from '../../support/host.js';
import { fc, property } from '../../support/property.js';
import { eventually } from '../../support/wait.js';
import { linkOptions } from './support.js';

const IP = '127.0.0.1';

/** Any of 127.0.0.0/8, which are all our own. */
const source = fc
  .tuple(fc.nat(255), fc.nat(255), fc.integer({ min: 1, max: 254 }))
  .map(([b, c, d]) => `127.${b}.${c}.${d}`);
const rule = fc.oneof(
  fc.record({ ip: source, bits: fc.integer({ min: 0, max: 32 }) }),
  fc.record({ ip: fc.ipV6(), bits: fc.integer({ min: 0, max: 128 }) }),
);

/** IPv6 networks are left out: for BlockList they have IPv4 clients too, a listener of ours has one family. */
function isListed(rules: readonly Cidr[], ip: string): boolean {
  const list = new net.BlockList();
  for (const { ip: network, bits } of rules) {
    if (net.isIPv4(network)) list.addSubnet(network, bits, 'ipv4');
  }
  return list.check(ip, 'ipv4');
}

describe('the access rules of a listener', () => {
  let host: TestHost;
  let port = 20_100;
  beforeAll(async () => {
    host = await startHost();
  });
  afterAll(() => host?.stop());

  /** Whether each of the sources was let in by a listener with these rules. */
  async function letIn(rules: readonly Cidr[], sources: readonly string[]): Promise<boolean[]> {
    const bound = await host.broker.listenTcp(HOST, { ip: IP, port: ++port });
    if (!bound.ok) throw new Error(bound.errno);
    const handed: string[] = [];
    const link = host.relay.link(linkOptions({ fds: false, access: { allowFrom: rules } }), {
      onHanded: (fd) => {
        const client = new net.Socket({ fd });
        handed.push(client.remoteAddress ?? '');
        client.destroy();
      },
    });
    link.listen(bound.value.fd, 'hand', null);
    for (const localAddress of sources) {
      await new Promise<void>((resolve) => {
        const client = net.connect({ host: IP, port, localAddress });
        client.on('error', () => undefined).on('close', () => resolve());
        client.resume();
      });
    }
    await eventually(() => {
      const refused = link.stats().closes['not-allowed'] ?? 0; // counted a moment after it was closed
      expect(handed.length + refused).toBe(sources.length);
    });
    await link.close(0);
    return sources.map((ip) => handed.includes(ip));
  }

  property(
    'let in exactly whom the networks name, whatever their lengths and order',
    async (holds) => {
      await holds(
        fc.asyncProperty(
          fc.array(rule, { maxLength: 64 }),
          fc.uniqueArray(source, { minLength: 1, maxLength: 4 }),
          fc.boolean(),
          async (rules, sources, near) => {
            // Half of the time a rule is about one of the sources: else hardly one would be let in.
            const all = near ? [...rules.slice(1), { ip: sources[0] as string, bits: 31 }] : rules;
            const expected = sources.map((ip) => isListed(all, ip));
            expect(await letIn(all, sources)).toEqual(expected);
          },
        ),
        { runs: 60 },
      );
    },
  );

  test('a listener that takes more rules than there may be is an error, and no open door', () => {
    const rules = Array.from({ length: 65 }, () => ({ ip: IP, bits: 32 }));
    expect(() => host.relay.link(linkOptions({ access: { allowFrom: rules } }))).toThrow(
      /64 networks/,
    );
  });
});
