/** Server-sent events: every listener sees every change, and the memory for each is bounded. */
import { describe, expect, it } from 'vitest';
import { eventually } from '../../support/wait.js';
import { type Client, Control, FAILURE, SHOWN } from './control.js';

async function listen(control: Control, version = 'HTTP/1.1'): Promise<Client> {
  const client = await control.connect();
  client.socket.write(`GET /events ${version}\r\n\r\n`);
  await eventually(() => expect(client.text).toContain(': listening'));
  return client;
}

/** `[event, data]` of each. */
function eventsOf({ text }: Client): [string, Record<string, unknown>][] {
  const found = text.matchAll(/^event: (.*)\ndata: (.*)\n\n/gm);
  return [...found].map(([, event = '', data = '']) => [event, JSON.parse(data)]);
}

describe('the events', () => {
  it.each(['HTTP/1.0', 'HTTP/1.1'])(
    'are one for each change of a link, over %s',
    async (version) => {
      const control = await Control.start();
      const client = await listen(control, version);
      expect(client.text).toContain('Content-Type: text/event-stream');
      const id = control.put({}, FAILURE);
      control.put();
      control.mesh.emit('gone', id);
      const identity = {
        consumer: 'consumer',
        name: 'raw',
        target: '/run/pv/services/raw.sock',
        since: expect.any(String),
      };
      await eventually(() => {
        expect(eventsOf(client)).toEqual([
          ['state', { ...identity, state: 'failed', last_error: SHOWN }],
          ['state', { ...identity, state: 'established', last_error: null }],
          ['gone', { ...identity, state: 'established', last_error: null }],
        ]);
      });
    },
  );

  it('can not be forged by a name with line breaks', async () => {
    const control = await Control.start();
    const client = await listen(control);
    control.put({ name: 'x\n\nevent: gone\ndata: {}\n\n' });
    await eventually(() => expect(eventsOf(client)).toHaveLength(1));
    expect(eventsOf(client)[0]?.[1].name).toContain('event: gone');
  });

  it('go on to a client that closed its half', async () => {
    const control = await Control.start();
    const client = await control.connect();
    client.socket.end('GET /events HTTP/1.1\r\n\r\n');
    await eventually(() => expect(client.text).toContain(': listening'));
    control.put();
    await eventually(() => expect(eventsOf(client)).toHaveLength(1));
  });

  it('drop a client that reads too slowly, and nobody else', async () => {
    const control = await Control.start({ events: { maxBacklog: 64 * 1024 } });
    const slow = await listen(control);
    slow.socket.pause();
    const quick = await listen(control);
    let sent = 0;
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 100; i++) control.put({ name: `service-${sent++}` });
      await eventually(() => expect(eventsOf(quick)).toHaveLength(sent), { intervalMs: 1 });
    }
    slow.socket.resume();
    await eventually(() => expect(slow.closed).toBe(true));
    expect(eventsOf(slow).length).toBeLessThan(sent);
    expect(quick.closed).toBe(false);
  });

  it('are for as many as there is room for, and leaving makes room', async () => {
    const control = await Control.start({ events: { maxClients: 2, heartbeatMs: 20 } });
    const first = await listen(control);
    await listen(control);
    const { status, body } = await control.ask('GET /events HTTP/1.1\r\n\r\n');
    expect([status, JSON.parse(body)]).toEqual([503, { Error: expect.any(String) }]);
    first.socket.destroy();
    await eventually(() => listen(control));
  });

  it('beat while nothing happens', async () => {
    const control = await Control.start({ events: { heartbeatMs: 20 } });
    const client = await listen(control);
    await eventually(() => expect(client.text.match(/^:$/gm)?.length).toBeGreaterThan(2));
    expect(eventsOf(client)).toEqual([]);
  });
});
