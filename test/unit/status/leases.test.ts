/** Who is granted what for a while, and when it ends: asked over the control socket, of a mesh that only says so. */
import { describe, expect, it } from 'vitest';
import type { TapSink } from '../../../src/mesh/attacher.js';
import { eventually } from '../../support/wait.js';
import { type Client, Control } from './control.js';

/** A control server, and the taps that it has begun. */
class Stand {
  readonly begun: string[] = [];
  readonly ended: string[] = [];
  readonly sinks: TapSink[] = [];
  readonly control = new Control({
    tap: (link, sink) => {
      this.begun.push(link);
      this.sinks.push(sink);
      return { begun: Promise.resolve(), end: async () => this.ended.push(link) };
    },
  });

  /** `uid`: of its clients. */
  static async start(uid: number | null = 0): Promise<Stand> {
    const stand = new Stand();
    await stand.control.serve(uid);
    return stand;
  }

  async ask(query: string): Promise<Client> {
    const client = await this.control.connect();
    client.socket.write(`POST /tap?${query} HTTP/1.1\r\n\r\n`);
    return client;
  }

  async refusal(query: string): Promise<[number, string]> {
    const { status, body } = await (await this.ask(query)).reply();
    return [status, JSON.parse(body).Error];
  }
}

const RAW = 'consumer=consumer&name=raw';

describe('what is asked for a while', () => {
  it('is granted to root alone, on a link that there is, for a time that has an end', async () => {
    const stand = await Stand.start();
    stand.control.put();
    stand.control.put({ name: 'card', type: 'drm', target: '/dev/dri/card0' });
    for (const query of ['', 'consumer=consumer', 'consumer=consumer&name=other']) {
      expect(await stand.refusal(query)).toEqual([404, expect.stringContaining('no link')]);
    }
    for (const time of ['0', '-1', 'x', '3601', 'Infinity', 'NaN', '']) {
      expect(await stand.refusal(`${RAW}&for=${time}`)).toEqual([
        400,
        expect.stringContaining('3600'),
      ]);
    }
    expect(await stand.refusal('consumer=consumer&name=card')).toEqual([
      409,
      expect.stringContaining('drm'),
    ]);
    const other = await Stand.start(1000);
    other.control.put();
    expect(await other.refusal(RAW)).toEqual([403, expect.stringContaining('Only root')]);
    const unknown = await Stand.start(null);
    unknown.control.put();
    expect((await unknown.refusal(RAW))[0]).toBe(403);
    const { headers, ...read } = await other.control.ask(`GET /tap?${RAW} HTTP/1.1\r\n\r\n`);
    expect([read.status, headers.get('allow')]).toEqual([405, 'POST']);
    expect([...stand.begun, ...other.begun]).toEqual([]);
  });

  it('is once on a link, on four at most, and marked as long as it lasts', async () => {
    const stand = await Stand.start();
    stand.control.putMany(1_000);
    const clients: Client[] = [];
    for (let i = 0; i < 4; i++) {
      const client = await stand.ask(`consumer=consumer&name=service-${i}`);
      await eventually(() => expect(client.text).toContain('"begin"'));
      clients.push(client);
    }
    const again = 'consumer=consumer&name=service-0';
    expect(await stand.refusal(again)).toEqual([409, expect.stringMatching(/already, by pid 12/)]);
    for (let i = 4; i < 1_000; i += 20) {
      expect((await stand.refusal(`consumer=consumer&name=service-${i}`))[0]).toBe(503);
    }
    const marked = async () => {
      const graph = (await stand.control.json('/xconnect-graph')) as {
        name: string;
        tap?: object;
      }[];
      return graph.flatMap(({ name, tap }) => (tap ? [name] : []));
    };
    expect(await marked()).toEqual(['service-0', 'service-1', 'service-2', 'service-3']);
    for (const { socket } of clients) socket.destroy();
    await eventually(async () => expect(await marked()).toEqual([]));
    expect(stand.ended).toEqual(stand.begun);
  });

  it('ends with its time, its link and its daemon, and says so', async () => {
    const stand = await Stand.start();
    const id = stand.control.put();
    const short = await stand.ask(`${RAW}&for=0.05`);
    expect((await short.reply()).body).toContain(
      '"end":{"reason":"its time is over","shown":0,"lost":0}',
    );
    const gone = await stand.ask(RAW);
    await eventually(() => expect(stand.begun).toHaveLength(2));
    stand.control.mesh.emit('gone', id);
    expect((await gone.reply()).body).toContain('"reason":"the link has left"');
    stand.control.put();
    const last = await stand.ask(RAW);
    await eventually(() => expect(stand.begun).toHaveLength(3));
    await stand.control.server.close();
    await eventually(() => expect(stand.ended).toHaveLength(3));
    await last.reply();
  });

  it('keeps little for a reader that does not read, and tells it what was left out', async () => {
    const stand = await Stand.start();
    stand.control.put();
    const client = await stand.ask(RAW);
    await eventually(() => expect(client.text).toContain('"begin"'));
    client.socket.pause();
    const [sink] = stand.sinks;
    if (!sink) throw new Error('no tap was begun');
    const passed = { connection: '1.1', to: 'provider' as const, time: 0, fds: 0 };
    let taken = 0;
    for (; taken < 10_000 && !sink.isFull; taken++)
      sink.take({ ...passed, bytes: Buffer.alloc(32_768) });
    expect(taken).toBeLessThan(200);
    sink.lost(5);
    sink.lost(37);
    client.socket.resume();
    await eventually(() => expect(sink.isFull).toBe(false));
    sink.take({ ...passed, bytes: Buffer.from('on') });
    await eventually(() =>
      expect(client.text.slice(-1_000)).toMatch(/data: {"lost":42}\n\n[\s\S]*"bytes":"b24="}/),
    );
  });
});
