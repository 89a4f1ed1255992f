/** `pv-xconnect explain` against a control socket and against a revision. */
import { describe, expect, it } from 'vitest';
import { type ExplainOptions, explainCommand } from '../../../src/cli/explain.js';
import {
  requires,
  revisionFrom,
  scratchFolder,
  services,
  writeFiles,
} from '../manifest/scratch.js';
import { Control } from '../status/control.js';
import { Paper } from './paper.js';

async function run(flags: Partial<ExplainOptions>) {
  const [stdout, stderr] = [new Paper(), new Paper()];
  const options = { control: '/nowhere', json: false, ...flags };
  const code = await explainCommand(options, { stdout, stderr });
  return { code, out: stdout.text, err: stderr.text };
}

const REVISION = {
  'server/services.json': services({
    name: 'raw',
    type: 'unix',
    socket: '/run/raw',
    allow: ['any'],
  }),
  'client/run.json': requires('raw'),
  'other/run.json': { services: { required: [{ name: 'raw', role: 'x' }], optional: ['nothing'] } },
};
const LINK = { consumer: 'client', provider: 'server', socket: '/run/raw' };

describe('one link', () => {
  it('of the running graph is explained with its revision', async () => {
    const control = await Control.start();
    control.revision = revisionFrom(REVISION);
    const message = '/run/raw in server: it does not exist yet.';
    control.put(LINK, { code: 'provider-socket-missing', message });
    const { code, out, err } = await run({
      control: control.path,
      consumer: 'client',
      service: 'raw',
    });
    expect(out.replace(/since \S+/, 'since T')).toBe(`\
client → raw of server at /run/pv/services/raw.sock: failed since T
✓ declared     client/run.json:/services/required/0
✓ exported by  server, server/services.json:/services/0
✓ allowed      the role "any" is in "allow"
✓ running      none is needed
✓ target       /run/pv/services/raw.sock in client
✗ socket       /run/raw in server: it does not exist yet.
               Expected: /run/raw in server, which lets the role "any" in.
               To do: Have the provider create its socket, or listen, where its manifest says. It is declared in server/services.json:/services/0.
· identity
· connections
`);
    expect([code, err]).toEqual([1, '']);
  });

  it('of a runtime is explained as far as the daemon knows it', async () => {
    const control = await Control.start();
    const id = control.put({ ...LINK, consumerPid: process.pid, providerPid: 0x7fff_fffe });
    control.count(id, { active: 1, total: 2, closes: { eof: 1 }, denied: { '"see": ["a.b"]': 1 } });
    const { code, out } = await run({ control: control.path, consumer: 'client' });
    const lines = out.replace(/since \d\S+\d\dZ/g, 'since T').split('\n');
    expect(lines.slice(1)).toEqual([
      '✓ declared     in the graph of the daemon',
      '✓ exported by  server',
      '✓ allowed      the role "any"',
      `✓ running      client (pid ${process.pid}, since T), server (pid 2147483646)`,
      '✓ target       /run/pv/services/raw.sock in client',
      '✓ socket       /run/raw in server',
      '✓ identity     the role "any"',
      '✓ connections  1 open of 2, 0 bytes to the provider, 0 to the consumer; ended: eof 1',
      'denied 1 time since the daemon started: "see": ["a.b"] would allow it',
      '',
    ]);
    expect(code).toBe(0);
  });

  it('that there is not is told with what is nearest', async () => {
    const control = await Control.start();
    control.put(LINK);
    const { code, out } = await run({ control: control.path, consumer: 'client', service: 'rwa' });
    expect(out).toBe(
      '✗ The graph of the daemon has no link of client to rwa (did you mean raw?). See pv-xconnect graph for those there are, and explain its revision with --from PATH.\n',
    );
    expect(code).toBe(1);
    const from = await writeFiles(REVISION);
    expect((await run({ from, consumer: 'clint' })).out).toContain('(did you mean client?)');
  });

  it('is explained as JSON', async () => {
    const from = await writeFiles(REVISION);
    const { code, out } = await run({ from, consumer: 'other', service: 'raw', json: true });
    const [link] = JSON.parse(out).links;
    expect(link).toMatchObject({ consumer: 'other', name: 'raw', state: null, optional: false });
    expect(link.steps[2]).toEqual({
      name: 'allowed',
      mark: 'failed',
      found: 'other/run.json:/services/required/0: found other with the role "x".',
      expected: 'one that "allow" of raw in server names',
      remedy: 'Add "x" or "container:other" to "allow" in server/services.json:/services/0.',
    });
    expect(code).toBe(1);
  });

  it('has nothing in its names that a terminal obeys', async () => {
    const control = await Control.start();
    control.put({ ...LINK, consumer: 'a\u001b[2J' });
    const { out } = await run({ control: control.path, consumer: 'a\u001b[2J' });
    expect(out).toContain('a\\u001b[2J → raw');
  });
});

describe('everything that is not well', () => {
  it('is a line each, also what the graph has no link for', async () => {
    const control = await Control.start();
    control.revision = revisionFrom(REVISION);
    control.put(LINK, { code: 'consumer-not-running', message: 'client is not running.' });
    const { code, out } = await run({ control: control.path });
    expect(out.replace(/since \S+:/, 'since T:').split('\n')).toEqual([
      '✗ client → raw of server at /run/pv/services/raw.sock: failed since T: client is not running. How it ended, if it ran before, the daemon was not told. Expected: client and server running. Start the consumer; the link is made as soon as it runs.',
      '✗ other → raw of server at /run/pv/services/raw.sock: other/run.json:/services/required/0: found other with the role "x". Expected: one that "allow" of raw in server names. Add "x" or "container:other" to "allow" in server/services.json:/services/0.',
      'Not well: 2 of 3 links.',
      '',
    ]);
    expect(code).toBe(1);
  });

  it('may be nothing', async () => {
    const control = await Control.start();
    control.put(LINK);
    expect(await run({ control: control.path })).toEqual({
      code: 0,
      out: 'Nothing is wrong with any of 1 links.\n',
      err: '',
    });
  });
});

describe('an optional requirement', () => {
  it('that nobody meets is well as long as nobody asks for it', async () => {
    const from = await writeFiles(REVISION);
    const { code, out } = await run({ from, consumer: 'other', service: 'nothing' });
    expect(out).toContain('\n✓ declared     other/run.json:/services/optional/0, optional\n');
    expect(out).toContain(
      '\n✗ exported by  other/run.json:/services/optional/0: found no container',
    );
    expect(out).toContain('To do: Nothing to do if it may be missing;');
    expect(code).toBe(1);
  });
});

describe('what can not be explained', () => {
  it('is a sentence', async () => {
    const folder = await scratchFolder();
    const away = await run({ control: `${folder}/none` });
    expect([away.code, away.out]).toEqual([1, '']);
    expect(away.err).toContain('No daemon listens');
    const unread = await run({ from: `${folder}/none` });
    expect([unread.code, unread.out]).toEqual([1, '']);
    expect(unread.err).toContain(`${folder}/none: found nothing`);
  });
});
