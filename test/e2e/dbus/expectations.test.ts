/** The table of expectations.ts, row by row: each on a bus of its own state, by a client of its own. */
import type { ChildProcess } from 'node:child_process';
import type { MessageBus } from 'dbus-next';
import { afterAll, describe, expect, test } from 'vitest';
import { startDbusProxy } from '../../support/bus/dbus-proxy.js';
import { has, isRoot } from '../../support/requirements.js';
import { inAWord, World } from './asks.js';
import { SERVICES } from './example-policy.js';
import { POLICY, RULES, TABLE } from './expectations.js';
import { askBus, SOCKET, TARGET, useBusPair } from './support.js';

/** In all other words something came of it. */
const REFUSALS = ['nothing', 'false', 'AccessDenied', 'ServiceUnknown', 'NameHasNoOwner'];
const passes = (answer: string) => !REFUSALS.includes(answer);

/**
 * xdg-dbus-proxy asks the bus for all names behind a client's Hello, then for the owner of each, and does not wait: what
 * it knows of unique names is certain only two answers of the bus later.
 */
async function settle(client: MessageBus): Promise<void> {
  for (let answers = 0; answers < 3; answers++) await askBus(client, 'GetId');
}

describe.runIf(isRoot() && has('dbus-daemon') && has('xdg-dbus-proxy'))('a client of a bus', () => {
  const pair = useBusPair('--patience', '2', '--drain', '1');
  let proxy: ChildProcess | null = null;
  afterAll(() => void proxy?.kill('SIGKILL'));

  const ways = [
    () => pair.direct(),
    async () => {
      const path = `${pair.provider.rootDir}/run/example/flatpak.sock`;
      proxy ??= await startDbusProxy(pair.provider.rootDir + SOCKET, path, RULES);
      return pair.clientAt(path);
    },
    async () => {
      await pair.establish({ role: 'root', policy: POLICY });
      return pair.clientAt(pair.consumer.rootDir + TARGET);
    },
  ];

  test.each(TABLE.map((row) => [row.what, row] as const))('%s', async (_, row) => {
    const said: string[] = [];
    for (const connect of ways) {
      pair.disconnect();
      const services: Record<string, MessageBus> = await pair.serveAll(...SERVICES);
      const client = await connect();
      await settle(client);
      const answer = await row.ask(new World(client, services));
      said.push(inAWord(answer));
    }
    expect(said).toEqual(row.answers);
  });

  test.each(TABLE.map((row) => [row.what, row] as const))(
    'lets no more pass than xdg-dbus-proxy, or says why: %s',
    (_, { answers: [, flatpak, ours], laxer }) => {
      expect(passes(ours) && !passes(flatpak)).toBe(laxer !== undefined);
    },
  );
});
