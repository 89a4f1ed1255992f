/** Clients that authenticate and then say nothing: what they cost others on the same bus. */
import { afterEach, describe, expect, test } from 'vitest';
import { LOGIN, RawClient } from '../../support/bus/raw-client.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { LOCK } from './example-policy.js';
import { askBus, SOCKET, TARGET, useBusPair } from './support.js';

const OTHER = '/run/pv/services/other.sock';
/** More than a bus has places for clients that it does not know. */
const SILENT = 100;

describe.runIf(isRoot() && has('dbus-daemon'))(
  'a hundred clients of one link that say no Hello',
  () => {
    const pair = useBusPair('--patience', '2', '--drain', '1');
    let silent: RawClient[] = [];
    afterEach(() => {
      for (const client of silent) client.socket.destroy();
    });

    test.each([
      ['without a policy', undefined],
      ['under a policy', { talk: [LOCK] }],
    ])('keep nobody else from the bus, %s', async (_, policy) => {
      await pair.establishAll(
        pair.link({ role: 'operator', ...(policy ? { policy } : {}) }),
        pair.link({ target: OTHER, role: 'app', ...(policy ? { policy } : {}) }),
      );
      silent = Array.from({ length: SILENT }, () => {
        const client = new RawClient(pair.consumer.rootDir + OTHER);
        client.send(LOGIN);
        return client;
      });
      const within = () => silent.filter(({ isIn }) => isIn).length;
      await eventually(() => expect(within()).toBeGreaterThanOrEqual(24));
      for (let n = 0; n < 10; n++) {
        await RawClient.registered(pair.consumer.rootDir + TARGET);
        await RawClient.registered(pair.provider.rootDir + SOCKET);
      }
      expect(within()).toBe(24); // half of the 48 that links may have
      expect(silent.filter(({ isOver }) => isOver)).toEqual([]);
      for (const client of silent.slice(0, 24)) client.socket.destroy();
      await eventually(() => expect(within()).toBe(48)); // others of that link have their turn
      expect(await askBus(await pair.through(), 'NameHasOwner', 'org.freedesktop.DBus')).toBe(true);
    });
  },
);
