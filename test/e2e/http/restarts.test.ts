/** 100,000 requests over 1,000 connections while the providers are killed and started again every second. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pause } from '../../support/wait.js';
import { startNode } from './providers.js';
import { startTown, type Town } from './town.js';

const CLIENT = new URL('./many-requests.mjs', import.meta.url).pathname;
const UNIX = { socket: '/run/web/http.sock' };
const HTTP = { port: 8080 };

interface Counted {
  readonly answered: number;
  readonly byStatus: Record<string, number>;
  readonly wrong: string[];
}

describe('an ingress whose providers restart', () => {
  let town: Town;
  beforeAll(async () => {
    town = await startTown(24, '--patience', '10');
    await Promise.all([town.node('one', UNIX), town.node('two', HTTP)]);
    const http = { limits: { connections: 2000 } };
    await town.establish(
      town.link('one', UNIX, '/one', { http }),
      town.link('two', HTTP, '/two', { http }),
    );
  });
  afterAll(() => town?.stop());

  test('answers every request, and none with the answer of another', async () => {
    const wheres = { one: UNIX, two: HTTP } as const;
    let restarts = 0;
    let over = false;
    const restarting = (async () => {
      while (!over) {
        // A second, and as long as it takes to start: on a busy machine none would ever be up.
        await pause(1_000);
        const name = restarts++ % 2 === 0 ? 'one' : 'two';
        const child = town.serve(name, (container) => startNode(container, wheres[name], name));
        await new Promise((resolve) => {
          child.stdout?.once('data', resolve);
          child.once('exit', resolve);
        });
      }
    })();
    const argv = ['node', CLIENT, town.cable.host, '1000', '100'];
    const { stdout, stderr } = await town.run(argv, '', 600_000);
    over = true;
    await restarting;
    expect(stderr).toBe('');
    const counted = JSON.parse(stdout) as Counted;
    expect(counted.wrong).toEqual([]);
    expect(counted.answered).toBe(100_000);
    expect(restarts).toBeGreaterThan(3);
    // A request that its provider had in hand when it was killed is answered with 502: one a connection, at most.
    const { 200: good = 0, 502: broken = 0, ...others } = counted.byStatus;
    expect(others).toEqual({});
    expect(broken).toBeLessThanOrEqual(restarts * 500);
    expect(good + broken).toBe(100_000);
  }, 620_000);
});
