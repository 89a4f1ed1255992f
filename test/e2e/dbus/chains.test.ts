/** Proxies of one bus one behind the other: two of ours, and one of ours with Flatpak's in both orders. */
import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import type dbus from 'dbus-next';
import { afterEach, describe, expect, test } from 'vitest';
import { startDbusProxy } from '../../support/bus/dbus-proxy.js';
import { RawClient, toBus, toPeer } from '../../support/bus/raw-client.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import { DENIED, LOCK, SERVICES, THERMOSTAT, UNKNOWN, VAULT } from './example-policy.js';
import { askBus, call, nameOf, requestName, SOCKET, TARGET, useBusPair } from './support.js';

const OPERATOR = 'org.example.Operator';
const POLICY = { see: ['org.example.*'], talk: [THERMOSTAT], own: [OPERATOR] };
const RULES = ['--see=org.example.*', `--talk=${THERMOSTAT}`, `--own=${OPERATOR}`];
const PROXIED = '/run/example/proxied.sock';

describe.runIf(isRoot() && has('dbus-daemon') && has('xdg-dbus-proxy'))('behind a proxy', () => {
  const pair = useBusPair('--patience', '2', '--drain', '1');
  let proxy: ChildProcess | null = null;
  afterEach(() => {
    proxy?.kill('SIGKILL');
    proxy = null;
  });

  /** Where a client of the second one connects, on the host. */
  const chains: Record<string, () => Promise<string>> = {
    'ours, ours behind ours': async () => {
      const [consumer, provider] = [pair.provider, pair.consumer];
      const target = '/run/pv/services/second.sock';
      await pair.establishAll(
        pair.link({ role: 'root', policy: POLICY }),
        pair.link({
          ...{ consumer: 'second', consumer_pid: consumer.pid, provider: 'first' },
          ...{ provider_pid: provider.pid, socket: TARGET, target, role: 'root', policy: POLICY },
        }),
      );
      return consumer.rootDir + target;
    },
    'ours, Flatpak’s behind ours': async () => {
      await pair.establish({ role: 'root', policy: POLICY });
      const path = `${pair.consumer.rootDir}/run/flatpak.sock`;
      rmSync(path, { force: true });
      proxy = await startDbusProxy(pair.consumer.rootDir + TARGET, path, RULES);
      return path;
    },
    'Flatpak’s, ours behind Flatpak’s': async () => {
      const path = pair.provider.rootDir + PROXIED;
      rmSync(path, { force: true });
      proxy = await startDbusProxy(pair.provider.rootDir + SOCKET, path, RULES);
      await pair.establish({ role: 'root', policy: POLICY, socket: PROXIED });
      return pair.consumer.rootDir + TARGET;
    },
  };

  test.each(Object.keys(chains))('a client does what both policies let it: %s', async (chain) => {
    const services = await pair.serveAll(...SERVICES);
    const path = await (chains[chain] as () => Promise<string>)();
    const client = await pair.clientAt(path);
    const names = (await askBus(client, 'ListNames')) as string[];
    expect([names.includes(LOCK), names.includes(VAULT)]).toEqual([true, false]);
    for (let n = 0; n < 100; n++) expect(await call(client, THERMOSTAT, 'Get')).toBe('ok');
    expect(await call(client, LOCK, 'Get')).toBe(DENIED);
    expect(await call(client, VAULT, 'Get')).toBe(UNKNOWN);
    expect(await requestName(client, OPERATOR)).toBe(1);

    const heard: unknown[] = [];
    client.on('message', (message: dbus.Message) => heard.push([message.sender, message.member]));
    await askBus(client, 'AddMatch', `type='signal',interface='${THERMOSTAT}'`);
    const signal = { path: '/', interface: THERMOSTAT, member: 'Changed' };
    const service = services[THERMOSTAT] as dbus.MessageBus;
    const { Message } = await import('dbus-next').then((module) => module.default);
    service.send(Message.newSignal(signal.path, signal.interface, signal.member));
    await eventually(() => expect(heard).toContainEqual([nameOf(service), 'Changed']));
  });

  test('a client may use any serial', async () => {
    await pair.serveAll(THERMOSTAT);
    await pair.establish({ role: 'operator', policy: POLICY });
    const client = await RawClient.registered(pair.consumer.rootDir + TARGET);
    const serials = [0xfffe_ffff, 0xffff_0000, 0xffff_0001, 0xffff_ffff, 0x7fff_0000, 0x7fff_0001];
    client.send(...serials.flatMap((serial) => [toPeer(serial, THERMOSTAT)]));
    for (const serial of serials) expect((await client.answer(serial)).type).toBe(2);
    client.send(toBus(0x7ffe_0000, 'ListNames'), toBus(0x7ffe_0001, 'GetId'));
    for (const serial of [0x7ffe_0000, 0x7ffe_0001])
      expect((await client.answer(serial)).type).toBe(2);
    client.socket.destroy();
  });
});
