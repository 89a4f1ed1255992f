/** Whatever happens in whatever order: no call is lost, none is answered twice, and none overtakes another. */
import { afterEach, beforeEach, expect, vi } from 'vitest';
import type { Message } from '../../../../src/plugins/dbus/message.js';
import { fc, property } from '../../../support/property.js';
import { call, Stand } from './activation-stand.js';

const NAMES = ['a.b', 'a.c', 'a.d'];

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const name = fc.constantFrom(...NAMES);
const outcome = fc.constantFrom(
  { outcome: 'started' } as const,
  { outcome: 'unknown' } as const,
  { outcome: 'refused', why: 'no' } as const,
);
const step = fc.oneof(
  fc.record({ do: fc.constant('call' as const), name }),
  fc.record({ do: fc.constant('start' as const), name }),
  fc.record({ do: fc.constant('owner' as const), name, owned: fc.boolean() }),
  fc.record({ do: fc.constant('bus' as const), owned: fc.subarray(NAMES) }),
  fc.record({ do: fc.constant('runtime' as const), outcome }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 10_000, 20_000) }),
);

property('every call that waits goes on or is answered, once, and in its order', async (holds) => {
  await holds(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const at = new Stand();
      at.names = NAMES;
      const held: Message[] = [];
      const passed: Message[] = [];
      const take = (message: Message) => {
        const verdict = at.filter.fromConsumer(message);
        if (verdict === 'hold') held.push(message);
        if (verdict !== 'pass') return;
        // It goes on at once: then nothing that came before it may still wait for the same name.
        passed.push(message);
        const { destination } = message.header;
        const waiting = held.filter((one) => !isOver(at, one));
        expect(waiting.filter(({ header }) => header.destination === destination)).toEqual([]);
      };
      for (const one of steps) {
        if (one.do === 'call') take(call(one.name));
        if (one.do === 'start') {
          take(call('org.freedesktop.DBus', { member: 'StartServiceByName' }, [one.name, 0]));
        }
        if (one.do === 'owner') at.owner(one.name, one.owned ? ':1.9' : '');
        if (one.do === 'bus') at.answers(...one.owned);
        if (one.do === 'runtime') await at.runtime(one.outcome);
        if (one.do === 'wait') await vi.advanceTimersByTimeAsync(one.ms);
      }
      at.answers();
      await vi.advanceTimersByTimeAsync(20_000);
      const over = [...at.released, ...at.answered.map(([message]) => message)];
      expect(new Set(over).size).toBe(over.length);
      expect(over.length + at.replied.length).toBe(held.length);
      for (const destination of NAMES) {
        const released = at.released.filter(({ header }) => header.destination === destination);
        const serials = released.map(({ header }) => header.serial);
        expect(serials).toEqual([...serials].sort((a, b) => a - b));
      }
      expect(vi.getTimerCount()).toBe(0);
    }),
  );
});

function isOver(at: Stand, message: Message): boolean {
  return at.released.includes(message) || at.answered.some(([one]) => one === message);
}
