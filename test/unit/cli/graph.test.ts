/** `pv-xconnect graph` against a control socket, a revision, and neither. */
import net from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type GraphCommandOptions, graphCommand } from '../../../src/cli/graph.js';
import { eventually } from '../../support/wait.js';
import { requires, scratchFolder, services, writeFiles } from '../manifest/scratch.js';
import { Control, FAILURE } from '../status/control.js';
import { Paper } from './paper.js';

async function run(
  control: string,
  flags: Partial<GraphCommandOptions> = {},
  stdout = new Paper(),
) {
  const stderr = new Paper();
  const options = { control, json: false, dot: false, mermaid: false, watch: false, ...flags };
  const code = await graphCommand(options, { stdout, stderr });
  return { code, out: stdout.text, err: stderr.text };
}

/** A socket where something else answers. */
async function otherServer(answer: string): Promise<string> {
  const path = `${await scratchFolder()}/other.sock`;
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => void socket.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  return path;
}

describe('the graph of the daemon', () => {
  it('is a table', async () => {
    const control = await Control.start();
    control.count(control.put(), { active: 1, total: 2 });
    control.put({ name: 'other' }, FAILURE);
    const { code, out, err } = await run(control.path);
    expect([code, err]).toEqual([0, '']);
    expect(out.split('\n').map((line) => line.split(/ {2,}/))).toMatchObject([
      [
        'CONSUMER',
        'SERVICE',
        'TYPE',
        'ROLE',
        'PROVIDER',
        'TARGET',
        'STATE',
        'CONNECTIONS',
        'ERROR',
      ],
      { 0: 'consumer', 1: 'raw', 6: 'established', 7: '1/2', 8: '-' },
      { 0: 'consumer', 1: 'other', 6: 'failed', 7: '0/0', 8: 'A file is at the target.' },
      [''],
    ]);
  });

  it('is JSON as the daemon gave it, with nothing that a terminal would obey', async () => {
    const control = await Control.start();
    control.put({ name: '\x9b2J\u202e' });
    const { out } = await run(control.path, { json: true });
    expect(JSON.parse(out)).toEqual(await control.json('/xconnect-graph'));
    expect(out).not.toMatch(/[\x9b\u202e]/u);
  });

  it('is a drawing', async () => {
    const control = await Control.start();
    control.put();
    expect((await run(control.path, { dot: true })).out).toMatch(/^digraph mesh \{\n/);
    expect((await run(control.path, { mermaid: true })).out).toMatch(/^flowchart LR\n/);
  });

  it('may have 15,000 links', async () => {
    const control = await Control.start();
    control.putMany(15_000);
    const { out } = await run(control.path);
    expect(out.split('\n')).toHaveLength(15_002);
  });

  it('is not there without a daemon: one sentence, exit code 1', async () => {
    const path = `${await scratchFolder()}/none.sock`;
    for (const flags of [{}, { watch: true }, { json: true }]) {
      const { code, out, err } = await run(path, flags);
      expect([code, out]).toEqual([1, '']);
      expect(err).toBe(
        `pv-xconnect: No daemon listens at ${path}: start pv-xconnect, or say where its socket is with --control.\n`,
      );
    }
  });

  it.each([
    ['garbage', 'hello\r\n\r\n'],
    ['nothing', ''],
    ['another status', 'HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n[]'],
    ['half an answer', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]'],
    ['no JSON', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
    ['no array', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'],
  ])('is not there where something else answers %s', async (_name, answer) => {
    const { code, out, err } = await run(await otherServer(answer));
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/^pv-xconnect: [^\n]+\.\n$/);
  });

  it.each([
    { json: true, dot: true },
    { dot: true, mermaid: true },
    { watch: true, from: '/x' },
  ])('can not be asked for with %j: exit code 2', async (flags) => {
    const { code, out, err } = await run('/none', flags);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^pv-xconnect: [^\n]+\.\n$/);
  });
});

describe('the graph of a revision', () => {
  const FILES = {
    'p/services.json': services({ name: 'raw', type: 'unix', socket: '/run/raw.sock' }),
    'c/run.json': requires('raw'),
  };

  it('is drawn without any runtime', async () => {
    const { code, out, err } = await run('/none', { from: await writeFiles(FILES) });
    expect([code, err]).toEqual([0, '']);
    expect(out.split('\n')[1]).toMatch(/^c +raw +unix +any +p +\/run\/\S+ +- +- +-$/);
  });

  it('is JSON that the daemon could be given', async () => {
    const { out } = await run('/none', { from: await writeFiles(FILES), json: true });
    expect(JSON.parse(out)).toMatchObject([{ consumer: 'c', consumer_pid: 0, provider: 'p' }]);
  });

  it('says where links are missing for an error', async () => {
    const from = await writeFiles({ ...FILES, 'd/run.json': requires('missing') });
    const { code, out, err } = await run('/none', { from });
    expect([code, out.split('\n').length]).toEqual([0, 4]);
    expect(out).toMatch(
      /\nd +missing .* unmet +- +d\/run\.json:\S+: found no container that exports/,
    );
    expect(err).toContain(`pv-xconnect check ${from}`);
  });

  it('is not there where the revision is not: one sentence, exit code 1', async () => {
    const { code, out, err } = await run('/none', { from: '/no/such/revision' });
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/^pv-xconnect: \/no\/such\/revision: [^\n]+\n$/);
  });
});

describe('watching', () => {
  it('prints the graph again at each change, with an empty line between, until SIGINT', async () => {
    const control = await Control.start();
    const stdout = new Paper();
    const listeners = process.listenerCount('SIGINT');
    const ended = run(control.path, { watch: true }, stdout);
    await eventually(() => expect(stdout.text).toBe('The graph has no links.\n'));
    const id = control.put({ consumer: 'first' });
    await eventually(() => expect(stdout.text).toMatch(/links\.\n\nCONSUMER.*\nfirst.*\n$/));
    control.mesh.emit('gone', id);
    await eventually(() => expect(stdout.text).toMatch(/\nfirst.*\n\nThe graph has no links\.\n$/));
    process.emit('SIGINT');
    expect(await ended).toMatchObject({ code: 0, err: '' });
    expect(process.listenerCount('SIGINT')).toBe(listeners);
  });

  it('shows the last state after any number of changes', async () => {
    const control = await Control.start();
    const stdout = new Paper();
    const ended = run(control.path, { watch: true }, stdout);
    await eventually(() => expect(stdout.text).not.toBe(''));
    for (let i = 0; i < 300; i++) {
      control.put({}, FAILURE);
      control.put({ consumer: `c${i}` });
    }
    await eventually(() => expect(stdout.text).toContain('c299'));
    process.emit('SIGINT');
    await ended;
    expect(stdout.text.match(/CONSUMER/g)?.length).toBeLessThan(300);
  });

  it('redraws a terminal', async () => {
    const control = await Control.start();
    const stdout = new Paper();
    stdout.isTTY = true;
    const ended = run(control.path, { watch: true }, stdout);
    await eventually(() => expect(stdout.text).toBe('\x1b[H\x1b[2JThe graph has no links.\n'));
    process.emit('SIGINT');
    expect((await ended).code).toBe(0);
  });

  it('ends with the daemon, and says so', async () => {
    const control = await Control.start();
    const stdout = new Paper();
    const ended = run(control.path, { watch: true }, stdout);
    await eventually(() => expect(stdout.text).not.toBe(''));
    await control.server.close();
    expect(await ended).toMatchObject({ code: 1, err: 'pv-xconnect: The daemon has ended.\n' });
  });

  it('ends when nobody reads any more', async () => {
    const control = await Control.start();
    const stdout = new Paper();
    const ended = run(control.path, { watch: true }, stdout);
    await eventually(() => expect(stdout.text).not.toBe(''));
    stdout.fail(new Error('EPIPE'));
    expect((await ended).code).toBe(0);
  });
});
