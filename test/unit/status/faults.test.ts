/** Which connections break off, and where; and what may be asked for. */
import { describe, expect, it } from 'vitest';
import { FARTHEST, NEVER, PLANNED, resetPlan } from '../../../src/status/fault-plan.js';
import { faultAsked, faultText } from '../../../src/status/faults.js';
import { fc, property } from '../../support/property.js';
import { eventually } from '../../support/wait.js';
import { Control } from './control.js';

describe('the plan', () => {
  property('has exactly the share, the same of the same seed, and none too far', async (holds) => {
    await holds(
      fc.property(fc.integer({ min: 1, max: 1_000 }), fc.nat(2 ** 32 - 1), (permille, seed) => {
        const plan = resetPlan(permille / 10, seed);
        const resets = [...plan].filter((at) => at !== NEVER);
        expect([plan.length, resets.length]).toEqual([PLANNED, permille]);
        expect(Math.max(...resets)).toBeLessThanOrEqual(FARTHEST);
        expect(resetPlan(permille / 10, seed)).toEqual(plan);
      }),
    );
  });

  it('has early ones and late ones, and another order with another seed', () => {
    const all = [...resetPlan(100, 1)];
    expect(all.filter((at) => at < 16).length).toBeGreaterThan(100);
    expect(all.filter((at) => at > 4_096).length).toBeGreaterThan(100);
    expect(all.filter((at) => at === 0).length).toBeGreaterThan(0);
    const places = (seed: number) =>
      [...resetPlan(5, seed)].flatMap((at, i) => (at === NEVER ? [] : [i]));
    expect(places(1)).not.toEqual(places(2));
    expect(Math.max(...places(1)) - Math.min(...places(1))).toBeGreaterThan(PLANNED / 2);
    expect(resetPlan(0, 1)).toHaveLength(0);
  });
});

describe('a fault that is asked for', () => {
  it.each([
    ['delay=200', 'delay 200 ms'],
    ['rate=65536', 'rate 65536 bytes a second'],
    ['reset=5&seed=7', 'reset 5 % (seed 7)'],
    ['refuse=1&delay=0.5', 'delay 1 ms, refuse'],
  ])('by %s is told as: %s', (query, text) => {
    const asked = faultAsked(new URLSearchParams(query));
    expect(typeof asked === 'string' ? asked : faultText(asked)).toBe(text);
  });

  it.each([
    '',
    'refuse=0',
    'delay=-1',
    'delay=x',
    'delay=60001',
    'rate=1e10',
    'reset=101',
    'reset=5&seed=1.5',
  ])('by "%s" is refused with a sentence', (query) =>
    expect(faultAsked(new URLSearchParams(query))).toMatch(/\.$/),
  );

  it('is in effect as long as its asker is there', async () => {
    const said: string[] = [];
    const control = new Control({
      fault: (link, { delayMs }) => {
        said.push(`${link}: ${delayMs}`);
        return () => said.push(`${link}: over`);
      },
    });
    await control.serve();
    const id = control.put();
    const client = await control.connect();
    client.socket.write('POST /fault?consumer=consumer&name=raw&delay=5 HTTP/1.1\r\n\r\n');
    await eventually(() => expect(client.text).toContain('"text":": delay 5 ms"'));
    client.socket.destroy();
    await eventually(() => expect(said).toEqual([`${id}: 5`, `${id}: over`]));
  });
});
