/** Addresses whose provider is, by its address, the address itself or another one of ours. */
import { type ChildProcess, execFile } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import { ContainerPair, usePair } from '../../support/container-pair.js';
import type { WireLink } from '../../support/link.js';
import { totalOf } from '../../support/rings.js';
import { eventually } from '../../support/wait.js';
import { startNode } from '../http/providers.js';

const HERE = '127.0.0.1:47631';
const THERE = '127.0.0.1:47632';
const END = 47633;
/** More than any ring may take before it ends, and nothing beside what one that does not end takes. */
const FEW = 50;

/** The containers have the host's network, in which the addresses are. */
describe('an address that leads to addresses', () => {
  const pair = usePair(new ContainerPair({ args: ['--drain', '0', '--patience', '2'] }));
  let server: ChildProcess | null = null;
  afterEach(async () => {
    server?.kill('SIGKILL');
    await pair.clear();
  });

  const link = (name: string, at: string, socket: string, fields: Partial<WireLink> = {}) =>
    pair.link({
      ...{ consumer: 'EXTERNAL', consumer_pid: 0, name, type: 'http', interface: 'http' },
      ...{ target: at, socket, transport: 'tcp', ...fields },
    });

  function status(url: string): Promise<string> {
    const argv = ['-sS', '--max-time', '20', '-o', '/dev/null', '-w', '%{http_code}', url];
    return new Promise((resolve) => {
      execFile('curl', argv, (_, stdout) => resolve(stdout));
    });
  }

  async function codes(): Promise<Record<string, string | undefined>> {
    const shown = await pair.daemon.shown();
    return Object.fromEntries(shown.map(({ name, last_error }) => [name, last_error?.code]));
  }

  async function serve(): Promise<void> {
    const child = startNode(pair.provider, { port: END }, 'end');
    child.stdout?.resume();
    server = child;
    await eventually(async () => expect(await status(`http://127.0.0.1:${END}/`)).toBe('200'));
  }

  test('and to itself refuses each request, and the other link of the address is served', async () => {
    await serve();
    pair.daemon.set(
      link('self', `${HERE}/self`, HERE),
      link('end', `${HERE}/end`, `127.0.0.1:${END}`),
    );
    await pair.daemon.until({ self: 'established', end: 'established' });
    for (let i = 0; i < 3; i++) expect(await status(`http://${HERE}/self/self/end`)).toMatch(/^50/);
    await pair.daemon.until({ self: 'failed', end: 'established' });
    expect(await codes()).toMatchObject({ self: 'provider-loop' });
    expect(await status(`http://${HERE}/end`)).toBe('200');
    expect(await totalOf(pair)).toBeLessThan(FEW);
  });

  test('whose health is asked by the address itself is failed, and costs next to nothing', async () => {
    const http = { health: { path: '/', interval: 1 } };
    pair.daemon.set(link('self', HERE, HERE, { http }));
    await pair.daemon.until({ self: 'failed' });
    expect(await codes()).toEqual({ self: 'provider-loop' });
    expect(await totalOf(pair)).toBeLessThan(FEW);
  });

  test('and by another one to itself ends each request, and both say why', async () => {
    await serve();
    pair.daemon.set(
      link('here', `${HERE}/x`, THERE, { http: { strip_prefix: false } }),
      link('there', `${THERE}/x`, HERE, { http: { strip_prefix: false } }),
      link('end', `${HERE}/end`, `127.0.0.1:${END}`),
    );
    await pair.daemon.until({ here: 'established', there: 'established', end: 'established' });
    for (let i = 0; i < 3; i++) expect(await status(`http://${HERE}/x`)).toMatch(/^50/);
    await pair.daemon.until({ here: 'failed', there: 'failed', end: 'established' });
    expect(await codes()).toMatchObject({ here: 'provider-loop', there: 'provider-loop' });
    expect(await totalOf(pair)).toBeLessThan(FEW);
  });

  test('and by another one to a provider passes what is asked', async () => {
    await serve();
    pair.daemon.set(link('here', HERE, THERE), link('there', THERE, `127.0.0.1:${END}`));
    await pair.daemon.until({ here: 'established', there: 'established' });
    for (let i = 0; i < 3; i++) expect(await status(`http://${HERE}/`)).toBe('200');
    await pair.daemon.until({ here: 'established', there: 'established' });
  });
});
