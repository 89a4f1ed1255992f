/** The question to the runtime: one for all, bounded, and every answer a value. */
import { describe, expect, it } from 'vitest';
import { NO_ACTIVATOR, RuntimeActivator } from '../../../src/bus/activator.js';
import type { RuntimeAnswer, RuntimeRequest } from '../../../src/graph/runtime-client.js';
import { XConnectError } from '../../../src/kernel/errors.js';

/** A runtime that answers when the test says so. */
function runtime() {
  const asked: RuntimeRequest[] = [];
  const waiting: ((answer: RuntimeAnswer | XConnectError) => void)[] = [];
  const clock = { now: 0 };
  const activator = new RuntimeActivator(
    (request) => {
      asked.push(request);
      return new Promise((resolve) => waiting.push(resolve));
    },
    () => clock.now,
  );
  const answer = (status: number, body: unknown = {}) =>
    waiting.shift()?.({ status, body: Buffer.from(JSON.stringify(body)), stamp: 0, beganAt: 0 });
  return { activator, asked, waiting, clock, answer };
}

describe('asking the runtime to start an owner', () => {
  it('names bus and name', async () => {
    const { activator, asked, answer } = runtime();
    const started = activator.activate('system-bus', 'org.example.Foo');
    answer(200);
    expect(await started).toEqual({ outcome: 'started' });
    expect(asked).toEqual([
      {
        method: 'POST',
        path: '/xconnect/dbus/activate',
        body: '{"bus":"system-bus","name":"org.example.Foo"}',
      },
    ]);
  });

  it('is done once for all who ask before the name has its owner', async () => {
    const { activator, asked, answer, clock } = runtime();
    const ask = () => activator.activate('system-bus', 'org.example.A');
    const all = Array.from({ length: 100 }, ask);
    activator.done('system-bus', 'org.example.A'); // of an earlier time
    void ask();
    expect(asked).toHaveLength(1);
    answer(200);
    await Promise.all(all);
    expect(await ask()).toEqual({ outcome: 'started' });
    expect(asked).toHaveLength(1);
    activator.done('system-bus', 'org.example.A');
    const again = ask();
    expect(asked).toHaveLength(2);
    answer(200);
    await again;
    clock.now = 20_001;
    void ask();
    expect(asked).toHaveLength(3);
  });

  it('is done again at once after a refusal', async () => {
    const { activator, asked, answer } = runtime();
    const refused = activator.activate('system-bus', 'org.example.A');
    answer(500);
    await refused;
    void activator.activate('system-bus', 'org.example.A');
    expect(asked).toHaveLength(2);
  });

  it.each([
    ['knows no such name', 404, {}],
    ['starts nothing at all', 400, { Error: 'unknown endpoint: /xconnect/dbus/activate' }],
  ])('is not done again for a while where the runtime %s', async (_what, status, body) => {
    const { activator, asked, answer, clock } = runtime();
    const first = activator.activate('system-bus', 'org.example.A');
    answer(status, body);
    expect(await first).toEqual({ outcome: 'unknown' });
    expect(await activator.activate('system-bus', 'org.example.A')).toEqual({ outcome: 'unknown' });
    expect(asked).toHaveLength(1);
    clock.now = 2_001;
    void activator.activate('system-bus', 'org.example.A');
    expect(asked).toHaveLength(2);
  });

  it.each([
    ['its words', 500, { Error: 'foo did not start.' }, 'foo did not start.'],
    ['without words its status', 503, [], 'The runtime refused with status 503.'],
    ['its words, of a 400 too', 400, { Error: 'No name.' }, 'No name.'],
    ['words that can not break a line', 409, { Error: 'a\nb' }, 'a\\u000ab'],
  ])('gives on a refusal %s', async (_, status, body, why) => {
    const { activator, answer } = runtime();
    const refused = activator.activate('system-bus', 'org.example.A');
    answer(status, body);
    expect(await refused).toEqual({ outcome: 'refused', why });
  });

  it('is a refusal where no runtime answers', async () => {
    const { activator, waiting } = runtime();
    const refused = activator.activate('system-bus', 'org.example.A');
    waiting.shift()?.(new XConnectError('runtime-away', 'The runtime can not be asked.'));
    expect(await refused).toEqual({ outcome: 'refused', why: 'The runtime can not be asked.' });
  });

  it('is bounded: who calls thousands of names is told to come back', async () => {
    const { activator, asked } = runtime();
    for (let at = 0; at < 64; at++) void activator.activate('system-bus', `org.example.A${at}`);
    const refused = await activator.activate('system-bus', 'org.example.B');
    expect(refused).toMatchObject({ outcome: 'refused', why: expect.stringContaining('later') });
    expect(asked).toHaveLength(64);
  });

  it('forgets an answer rather than refuse a new question', async () => {
    const { activator, asked, answer } = runtime();
    for (let at = 0; at < 64; at++) void activator.activate('system-bus', `org.example.A${at}`);
    answer(200);
    await activator.activate('system-bus', 'org.example.A0');
    void activator.activate('system-bus', 'org.example.B');
    expect(asked).toHaveLength(65);
  });
});

it('without a runtime the refusal says so', async () => {
  expect(await NO_ACTIVATOR.activate('system-bus', 'org.example.A')).toMatchObject({
    outcome: 'refused',
    why: expect.stringMatching(/^org.example.A .* no runtime here/),
  });
});
