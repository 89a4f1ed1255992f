/** What a policy would refuse, what it did refuse, and what it should say: told by the daemon, over a real bus. */
import { spawn } from 'node:child_process';
import dbus, { type MessageBus } from 'dbus-next';
import { describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { commandOf } from '../../support/command.js';
import { request } from '../../support/daemon.js';
import { has, isRoot } from '../../support/requirements.js';
import { eventually } from '../../support/wait.js';
import {
  ADMIN,
  DENIED,
  LOCK,
  OBJECT,
  POLICY,
  SERVICES,
  THERMOSTAT,
  UNKNOWN,
  VAULT,
} from './example-policy.js';
import { askBus, type BusPair, call, nameOf, requestName, useBusPair } from './support.js';

describe.runIf(isRoot() && has('dbus-daemon'))('of a policy', () => {
  const pair = useBusPair('--patience', '2');
  let services: Record<string, MessageBus>;
  const unique = (name: string) => nameOf(services[name] as MessageBus);
  const logged = (text: string) =>
    pair.daemon.log.split('\n').filter((line) => line.includes(text));
  const metrics = () => request(pair.daemon.control, '/metrics') as Promise<string>;

  const serve = async () => {
    services = await pair.serveAll(...SERVICES);
  };

  test('each refusal is counted, and logged once with the rule that would allow it', async () => {
    await pair.establish({ role: 'operator', policy: POLICY });
    await serve();
    const consumer = await pair.through();
    for (let count = 0; count < 5; count++) {
      expect(await call(consumer, LOCK, 'Open', { path: '/lock' })).toBe(DENIED);
    }
    const rule = `"call": {"${LOCK}": ["${LOCK}.Open@/lock"]}`;
    const lines = logged('may not');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] as string)).toMatchObject({
      verdict: 'denied',
      consumer: 'consumer',
      role: 'operator',
      rule,
      msg: `consumer with the role "operator" may not call ${LOCK}.Open of ${LOCK}. ${rule} would allow it.`,
    });
    const text = await metrics();
    const counter = text.split('\n').find((line) => line.includes('denied_total{'));
    expect(counter).toContain('verdict="denied"');
    expect(counter).toMatch(/ 5$/);
    const { code, out } = await commandOf(pair.daemon.control, 'explain', 'consumer', 'bus');
    expect(out).toContain(`\ndenied 5 times since the daemon started: ${rule} would allow it\n`);
    expect(code).toBe(0); // the link itself is well
  });

  test('audit lets everything pass, and tells what would have been refused', async () => {
    await pair.establish({ role: 'app', policy: POLICY, policy_mode: 'audit' });
    await serve();
    const consumer = await pair.through();
    const names = (await askBus(consumer, 'ListNames')) as string[];
    expect(names).toContain(VAULT);
    expect(await call(consumer, VAULT, 'Open')).toBe('ok');
    expect(await call(consumer, unique(LOCK), 'Open', { interface: LOCK, path: '/lock' })).toBe(
      'ok',
    );
    const heard = new Promise<unknown>((resolve) => {
      consumer.on('message', ({ member, body }: dbus.Message) => {
        if (member === 'Opened') resolve(body);
      });
    });
    await askBus(consumer, 'AddMatch', `sender='${VAULT}'`);
    services[VAULT]?.send(dbus.Message.newSignal('/', VAULT, 'Opened', 's', ['door']));
    expect(await heard).toEqual(['door']);

    await eventually(() => expect(logged('"would-deny"')).toHaveLength(3));
    expect(logged('"denied"').filter((line) => line.includes('"app"'))).toEqual([]);
    expect(logged('"would-deny"')[1]).toContain(`would not be allowed to call ${LOCK}.Open`);
    expect(logged('"would-deny"')[1]).toContain(JSON.stringify(`${LOCK}.Open@/lock`).slice(1, -1));
    expect(await metrics()).toMatch(/denied_total\{.*verdict="would-deny".*\} 1/);
  });

  test('learn prints the smallest one that covers what was done, and no more is allowed', async () => {
    await pair.establish({ role: 'daemon' });
    await serve();
    const learning = startLearning(pair, '20s');
    await eventually(() => expect(learning.said).toContain('use it now'));
    const consumer = await pair.through();
    await useBus(consumer);
    learning.end();
    const { policy } = JSON.parse(await learning.output) as { policy: Record<string, unknown> };
    expect(policy).toEqual({
      daemon: {
        see: [LOCK],
        own: ['org.example.Operator'],
        call: { [ADMIN]: [`${ADMIN}.Status@${OBJECT}`], [THERMOSTAT]: ['a.b.Any@/some'] },
        broadcast: { [ADMIN]: [`${ADMIN}.Changed@${OBJECT}`] },
      },
    });

    await pair.establish({ role: '4711', policy: policy.daemon });
    const held = await pair.through();
    await useBus(held);
    expect(await call(held, ADMIN, 'Reset', { path: OBJECT })).toBe(DENIED);
    expect(await call(held, VAULT, 'Open')).toBe(UNKNOWN);
  });

  test('learn tells what is refused at present, and allows it only to who wants that', async () => {
    await pair.establish({ role: 'operator', policy: POLICY });
    await serve();
    const [careful, open] = [
      startLearning(pair, '20s'),
      startLearning(pair, '20s', 'bus', '--refused'),
    ];
    await eventually(() => {
      for (const { said } of [careful, open]) expect(said).toContain('use it now');
    });
    const consumer = await pair.through();
    expect(await call(consumer, ADMIN, 'Status', { path: OBJECT })).toBe('ok');
    expect(await call(consumer, LOCK, 'Open', { path: '/lock' })).toBe(DENIED);
    for (const learning of [careful, open]) learning.end();
    const status = { [ADMIN]: [`${ADMIN}.Status@${OBJECT}`] };
    const policyOf = async ({ output }: typeof open) => JSON.parse(await output).policy.operator;
    expect(await policyOf(careful)).toEqual({ call: status });
    expect(careful.said).toContain(`refused at present: call ${LOCK}.Open of ${LOCK}.\n`);
    expect(careful.said).toContain('give --refused to allow what is refused, too.');
    expect(await policyOf(open)).toEqual({ call: { ...status, [LOCK]: [`${LOCK}.Open@/lock`] } });
    expect(open.said).toContain(`refused at present, and allowed below: call ${LOCK}.Open`);
  });

  test('learn says what it can not learn from', async () => {
    const learning = startLearning(pair, '5s', 'nowhere');
    expect(await learning.output).toBe('');
    expect(learning.said).toContain('consumer has no link to nowhere');
  });

  async function useBus(consumer: MessageBus): Promise<void> {
    expect(await call(consumer, ADMIN, 'Status', { path: OBJECT })).toBe('ok');
    const byUnique = { interface: 'a.b', path: '/some' };
    expect(await call(consumer, unique(THERMOSTAT), 'Any', byUnique)).toBe('ok');
    expect(await askBus(consumer, 'NameHasOwner', LOCK)).toBe(true);
    expect(await requestName(consumer, 'org.example.Operator')).toBe(1);
    const heard = new Promise<void>((resolve) => {
      consumer.on('message', ({ member }: dbus.Message) => {
        if (member === 'Changed') resolve();
      });
    });
    await askBus(consumer, 'AddMatch', `interface='${ADMIN}'`);
    services[ADMIN]?.send(dbus.Message.newSignal(OBJECT, ADMIN, 'Changed'));
    await heard;
  }
});

/** The command as a person starts it; `end` is their Ctrl-C. */
function startLearning(pair: BusPair, time: string, service = 'bus', ...more: string[]) {
  const asked = ['learn', 'consumer', service, '--for', time, ...more];
  const args = [...asked, '--control', pair.daemon.control];
  const command = spawn(`${PACKAGE_ROOT}/bin/pv-xconnect`, args);
  const learning = {
    said: '',
    end: () => command.kill('SIGINT'),
    output: new Promise<string>((resolve) => {
      let output = '';
      command.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
      command.once('close', () => resolve(output));
    }),
  };
  command.stderr.on('data', (chunk: Buffer) => {
    learning.said += chunk.toString();
  });
  return learning;
}
