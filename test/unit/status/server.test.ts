/** The control socket over raw bytes: as nc, curl and impolite clients talk to it. */
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { type Link, linkId } from '../../../src/graph/link.js';
import { revisionFromWire, type WireRevision } from '../../../src/graph/revision-wire.js';
import { type LinkError, XConnectError } from '../../../src/kernel/errors.js';
import { unixLink } from '../../support/link.js';
import { eventually, pause } from '../../support/wait.js';
import { revisionFrom } from '../manifest/scratch.js';
import { Control, FAILURE, SHOWN } from './control.js';

describe('the control socket', () => {
  it.each([
    ['HTTP/1.0 and left open', 'HTTP/1.0', false],
    ['HTTP/1.0 and a half-close', 'HTTP/1.0', true],
    ['HTTP/1.1, without a Host, and left open', 'HTTP/1.1', false],
    ['HTTP/1.1 and a half-close', 'HTTP/1.1', true],
  ])('answers with %s, and closes', async (_name, version, half) => {
    const control = await Control.start();
    control.put();
    const reply = await control.ask(`GET /xconnect-graph ${version}\r\n\r\n`, half);
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toBe('application/json');
    expect(JSON.parse(reply.body)).toMatchObject([{ consumer: 'consumer', state: 'established' }]);
    expect(Number(reply.headers.get('content-length'))).toBe(Buffer.byteLength(reply.body));
  });

  it.each([true, false])('loses nothing of a graph of 5 MB (half-close: %s)', async (half) => {
    const control = await Control.start();
    control.putMany(15_000);
    const { body, headers } = await control.ask('GET /xconnect-graph HTTP/1.0\r\n\r\n', half);
    expect(Number(headers.get('content-length'))).toBeGreaterThan(5 * 1024 * 1024);
    expect(JSON.parse(body)).toHaveLength(15_000);
  });

  it('loses no answer that takes a moment to make (half-close)', async () => {
    const control = await Control.start();
    const { status, body } = await control.ask('GET /metrics HTTP/1.0\r\n\r\n', true);
    expect([status, body.endsWith('\n')]).toEqual([200, true]);
  });

  it('loses nothing for a client that closes its half first and reads late', async () => {
    const control = await Control.start();
    control.putMany(15_000);
    const client = await control.connect();
    client.socket.pause();
    client.socket.end('GET /xconnect-graph HTTP/1.1\r\nHost: x\r\n\r\n');
    await pause(300); // a slow reader
    client.socket.resume();
    expect(JSON.parse((await client.reply()).body)).toHaveLength(15_000);
  });

  it('reads a request that comes byte by byte', async () => {
    const control = await Control.start();
    const client = await control.connect();
    for (const byte of 'GET /xconnect-status?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n') {
      client.socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { status, body } = await client.reply();
    expect([status, JSON.parse(body)]).toEqual([200, []]);
  });

  it('has the links of one consumer, service and target', async () => {
    const control = await Control.start();
    for (const target of ['/a', '/b']) control.put({ target });
    control.put({ name: 'other' });
    const targets = async (query: string) => {
      const links = (await control.json(`/links?${query}`)) as { target: string }[];
      return links.map(({ target }) => target);
    };
    expect(await targets('consumer=consumer&name=raw')).toEqual(['/a', '/b']);
    expect(await targets('consumer=consumer&name=raw&target=/b')).toEqual(['/b']);
  });

  it('has the status of the links and of the source', async () => {
    const control = await Control.start();
    control.put({}, FAILURE);
    expect(await control.json('/xconnect-status')).toMatchObject([
      { consumer: 'consumer', established: false, last_error: SHOWN },
    ]);
    const states = { established: 0, waiting: 0, failed: 1, draining: 0, unmet: 0 };
    const source = { failing: false, last_failure: null };
    const bad = { status: 'degraded', links: 1, states, optional_unmet: 0, full: 0, source };
    expect(await control.json('/health')).toEqual(bad);
    control.put();
    const well = { ...states, established: 1, failed: 0 };
    expect(await control.json('/health')).toEqual({ ...bad, status: 'ok', states: well });
    control.source.emit('failure', new XConnectError('runtime-away', 'It is away.'));
    const failure = { code: 'runtime-away', message: 'It is away.', at: expect.any(String) };
    const failing = { failing: true, last_failure: failure };
    expect(await control.json('/health')).toMatchObject({ status: 'degraded', source: failing });
    control.source.emit('recovered');
    const over = { failing: false, last_failure: failure };
    expect(await control.json('/health')).toMatchObject({ status: 'ok', source: over });
  });

  it('is degraded by a requirement that nothing meets, unless that may be so', async () => {
    const control = await Control.start();
    const error: LinkError = { code: 'requirement-unmet', message: 'Nobody has it.' };
    const put = (name: string, fields: Partial<Link>) => {
      const link = unixLink({ name, error, ...fields });
      control.mesh.emit('state', linkId(link), link, 'unmet', error);
    };
    put('one', { optional: true });
    const health = () => control.json('/health');
    expect(await health()).toMatchObject({ status: 'ok', states: { unmet: 1 }, optional_unmet: 1 });
    put('other', {});
    expect(await health()).toMatchObject({ status: 'degraded', states: { unmet: 2 } });
    expect(await control.json('/xconnect-graph')).toMatchObject([
      { state: 'unmet', optional: true, last_error: { ...error, remedy: expect.any(String) } },
      { state: 'unmet' },
    ]);
  });

  it.each(['/', '/xconnect-graph/', '/XCONNECT-GRAPH', '//health', '*', '/%00', '/__proto__'])(
    'does not know %s',
    async (path) => {
      const control = await Control.start();
      const { status, body } = await control.ask(`GET ${path} HTTP/1.1\r\n\r\n`);
      expect(status).toBe(404);
      expect(JSON.parse(body).Error).toContain('/xconnect-graph');
    },
  );

  it('says which daemon it is, and has it upgraded', async () => {
    const control = await Control.start();
    const version = { version: '0.1.0', incarnation: 1, upgrade: null };
    expect(await control.json('/version')).toEqual(version);
    const asked = await control.ask('POST /upgrade HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}');
    expect([asked.status, JSON.parse(asked.body)]).toEqual([
      202,
      { ...version, upgrade: 'under way' },
    ]);
    control.replaceable.obstacle = 'Not now.';
    const refused = await control.ask('POST /upgrade HTTP/1.1\r\n\r\n');
    expect([refused.status, JSON.parse(refused.body)]).toEqual([409, { Error: 'Not now.' }]);
    const read = await control.ask('GET /upgrade HTTP/1.1\r\n\r\n');
    expect([read.status, read.headers.get('allow')]).toEqual([405, 'POST']);
    expect(control.replaceable.asked).toBe(1);
  });

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('refuses %s', async (method) => {
    const control = await Control.start();
    const request = `${method} /xconnect-status HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]`;
    const { status, headers, body } = await control.ask(request);
    expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect(JSON.parse(body)).toEqual({ Error: expect.stringContaining('/xconnect-status') });
  });

  it.each([...['/health', '/events', '/metrics'], '/uses?consumer=consumer&name=raw'])(
    'answers HEAD %s without a body',
    async (path) => {
      const control = await Control.start();
      control.put();
      const { status, body } = await control.ask(`HEAD ${path} HTTP/1.1\r\n\r\n`);
      expect([status, body]).toEqual([200, '']);
    },
  );

  it.each([
    ['garbage', 'hello\r\n\r\n', 400],
    ['a head that is too large', `GET / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, 431],
    ['half a head', 'GET /health HT', 400],
  ])('answers %s with an error', async (_name, request, code) => {
    const control = await Control.start();
    const { status, body } = await control.ask(request, true);
    expect(status).toBe(code);
    expect(JSON.parse(body)).toEqual({ Error: expect.any(String) });
  });

  it('waits for the end of no body of more than 64 KiB', async () => {
    const control = await Control.start();
    const client = await control.connect();
    client.socket.write('GET /health HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n');
    client.socket.write('x'.repeat(64 * 1024));
    await pause(100); // nothing may come yet
    expect(client.text).toBe('');
    client.socket.write('x');
    expect((await client.reply()).status).toBe(200);
  });

  it('answers one request a connection, though several were sent', async () => {
    const control = await Control.start();
    const { body } = await control.ask('GET /xconnect-status HTTP/1.1\r\n\r\n'.repeat(3));
    expect(body).toBe('[]\n');
  });

  it('closes a client that does not read its answer, and not one that listens', async () => {
    const control = await Control.start({ stalledMs: 250 });
    control.putMany(15_000);
    const { events, slow } = await eventsAndSlow(control);
    expect(socketsAt(control.path)).toBe(3);
    await eventually(() => expect(socketsAt(control.path)).toBe(2)); // the server's end of it is gone
    slow.socket.resume();
    await eventually(() => expect(slow.closed).toBe(true));
    expect(slow.text).toContain('HTTP/1.1 200 OK');
    expect(slow.text.length).toBeLessThan(1024 * 1024);
    expect(events.closed).toBe(false);
  });

  it('has room for 64 connections, and again when they are gone', async () => {
    const control = await Control.start();
    const clients = await Promise.all(Array.from({ length: 70 }, () => control.connect()));
    await eventually(() => expect(clients.filter(({ closed }) => closed)).toHaveLength(6));
    for (const { socket } of clients) socket.destroy();
    await eventually(async () => expect(await control.json('/xconnect-status')).toEqual([]));
  });

  it('closes with clients of every kind, and listens no more', async () => {
    const control = await Control.start();
    control.putMany(15_000);
    const idle = await control.connect();
    const { events, slow } = await eventsAndSlow(control);
    await eventually(() => expect(events.text).toContain('listening'));
    await control.server.close();
    slow.socket.resume();
    await eventually(() => {
      expect([idle, events, slow].map(({ closed }) => closed)).toEqual([true, true, true]);
    });
    const refused = new Promise((resolve) => net.connect(control.path).once('error', resolve));
    expect(await refused).toMatchObject({ code: 'ENOENT' });
  });
});

/** A client that listens to events, and one that asks for the graph and does not read it. */
async function eventsAndSlow(control: Control) {
  const events = await control.connect();
  events.socket.write('GET /events HTTP/1.1\r\n\r\n');
  const slow = await control.connect();
  slow.socket.pause();
  slow.socket.write('GET /xconnect-graph HTTP/1.1\r\n\r\n');
  return { events, slow };
}

/** The listener, and the server's ends of its connections; proc_net_unix(5). */
function socketsAt(path: string): number {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n');
  return lines.filter((line) => line.endsWith(` ${path}`)).length;
}

describe('what is known of links beyond the graph', () => {
  it('is how their connections ended and what was refused, of those that are asked for', async () => {
    const control = await Control.start();
    const id = control.put({ consumer: 'a' });
    control.put({ consumer: 'a', name: 'other' }, FAILURE);
    control.put({ consumer: 'b' });
    control.count(id, {
      total: 3,
      closes: { eof: 2, refused: 1 },
      denied: { '"see": ["x.y"]': 4 },
    });
    expect(await control.json('/links?consumer=a&name=raw')).toEqual([
      expect.objectContaining({
        consumer: 'a',
        name: 'raw',
        state: 'established',
        connections: { active: 0, total: 3, refused: 1 },
        closes: { eof: 2, refused: 1 },
        denied: { '"see": ["x.y"]': 4 },
        audited: {},
      }),
    ]);
    const count = async (path: string) => ((await control.json(path)) as unknown[]).length;
    expect(await count('/links?consumer=a')).toBe(2);
    expect(await count('/links?name=raw')).toBe(2);
    expect(await count('/links')).toBe(3);
    expect(await count('/links?consumer=nobody')).toBe(0);
  });

  it('is the revision that the graph is built from, or null under a runtime', async () => {
    const control = await Control.start();
    expect(await control.json('/revision')).toBeNull();
    const files = {
      'server/services.json': [
        { name: 'bus', type: 'dbus', socket: '/run/bus', policy: { '*': { see: ['a.b'] } } },
        { name: 'api', type: 'rest', socket: '/run/api', rules: { x: ['GET /'] }, allow: ['x'] },
        { name: 'wrong', type: 'unix' },
      ],
      'client/run.json': { services: { optional: [{ name: 'api', role: 'x' }] } },
      'device.json': { ingress: [{ external: '127.0.0.1:80', service: 'api' }] },
    };
    const revision = revisionFrom(files);
    control.revision = revision;
    const wire = (await control.json('/revision')) as WireRevision;
    const containers = revision.containers.map((one) => ({ ...one, run: {}, args: {} }));
    expect(revisionFromWire(wire)).toEqual({ ...revision, containers, state: {} });
  });
});
