/** Who is master of a card, and who leases its connectors, among clients of the real daemon. */
import { describe, expect, test } from 'vitest';
import { CARD, useDescriptors } from './descriptors.js';

describe('a link that hands out descriptors', () => {
  const use = useDescriptors();

  describe('of a card', () => {
    test('makes nobody master but the role master', async () => {
      await use.established(
        use.card(),
        use.card({
          name: 'gpu',
          role: 'render',
          socket: '/dev/dri/renderD200',
          target: '/run/dev/gpu',
        }),
      );
      const [any, first] = await use.at.client(CARD);
      const [, second] = await use.at.client('/run/dev/gpu');
      expect([first, second]).toEqual(['1:3 rw nonblock 1', '10:200 rw nonblock 1']);
      expect(await use.mark(any)).toBe('-');
      expect(use.record.lines()).toEqual(['1:3 DROP_MASTER', '10:200 DROP_MASTER']);
    });

    test('has one master, the newest: the one before is dropped first', async () => {
      await use.at.withContainer({ name: 'other' }, async (other) => {
        const links = [
          use.card({ role: 'master' }),
          use.card({ consumer: 'other', consumer_pid: other.pid, name: 'again', role: 'master' }),
        ];
        await use.established(...links);
        const [first] = await use.at.client(CARD);
        expect(await use.mark(first)).toBe('marked');
        const [second] = await use.at.client(CARD);
        expect(await first.line()).toBe('ended');
        expect([await use.mark(first), await use.mark(second)]).toEqual(['-', 'marked']);
        const [third] = await use.at.client(CARD, other);
        expect(await second.line()).toBe('ended');
        expect([await use.mark(second), await use.mark(third)]).toEqual(['-', 'marked']);
        expect(use.record.lines()).toEqual([
          '1:3 SET_MASTER',
          '1:3 DROP_MASTER',
          '1:3 SET_MASTER',
          '1:3 DROP_MASTER',
          '1:3 SET_MASTER',
        ]);
      });
    });

    test('has one master each', async () => {
      const second = { name: 'seven', socket: '/dev/dri/card7', target: '/run/dev/seven' };
      await use.established(use.card({ role: 'master' }), use.card({ ...second, role: 'master' }));
      const [one] = await use.at.client(CARD);
      const [two] = await use.at.client('/run/dev/seven');
      expect([await use.mark(one), await use.mark(two)]).toEqual(['marked', 'marked']);
    });

    test('drops its master with the link', async () => {
      await use.established(use.card({ role: 'master' }));
      const [client] = await use.at.client(CARD);
      await use.at.daemon.clear();
      expect(await client.line()).toBe('ended');
      expect(await use.mark(client)).toBe('-');
    });

    test('gives nothing where a process of the host is master', async () => {
      await use.established(use.card({ role: 'master' }));
      use.record.setBusy(true);
      expect((await use.at.client(CARD))[1]).toBe('nothing');
      expect(use.at.daemon.log).toContain('device-busy');
    });
  });

  describe('that leases connectors', () => {
    const lease = (...connectors: string[]) => use.card({ lease: connectors });

    test('hands out a lease of them in place of the card, and revokes it with the link', async () => {
      await use.established(lease('HDMI-A-1', 'DP-1'));
      const [client, first] = await use.at.client(CARD);
      expect(first).toBe('1:5 rw nonblock 1'); // what stands in for a lease
      await use.at.daemon.clear();
      expect(await client.line()).toBe('ended');
      expect(use.leases()).toEqual(['1:3 CREATE_LEASE 51 52 41 42', '1:3 REVOKE_LEASE 1']);
    });

    test('gives it to one client at a time, the newest', async () => {
      await use.established(lease('HDMI-A-1'));
      const [first] = await use.at.client(CARD);
      const [, answer] = await use.at.client(CARD);
      expect(answer).toMatch(/^1:5/);
      expect(await first.line()).toBe('ended');
      expect(use.leases()).toEqual([
        '1:3 CREATE_LEASE 51 41',
        '1:3 REVOKE_LEASE 1',
        '1:3 CREATE_LEASE 51 41',
      ]);
    });

    test('shares a card among links with other connectors, and with no others', async () => {
      const two = { ...lease('eDP-1'), name: 'two', target: '/run/dev/two' };
      const same = { ...lease('HDMI-A-1'), name: 'same', target: '/run/dev/same' };
      await use.established(lease('HDMI-A-1'), two, same);
      expect((await use.at.client(CARD))[1]).toMatch(/^1:5/);
      expect((await use.at.client('/run/dev/two'))[1]).toMatch(/^1:5/);
      expect((await use.at.client('/run/dev/same'))[1]).toBe('nothing');
      expect(use.at.daemon.log).toContain('HDMI-A-1 is leased to another consumer.');
    });

    test('says which connectors there are where one is not', async () => {
      await use.established(lease('VGA-1'));
      expect((await use.at.client(CARD))[1]).toBe('nothing');
      expect(use.at.daemon.log).toContain(
        'The card has no connector VGA-1; it has: HDMI-A-1, DP-1, eDP-1.',
      );
    });

    test('is refused for a renderer', async () => {
      await use.makeDevices();
      await use.at.refused(
        'device-wrong',
        use.card({ lease: ['DP-1'], socket: '/dev/dri/renderD200' }),
      );
    });
  });
});
