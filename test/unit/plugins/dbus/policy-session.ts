/** A connection under a policy between two channels without sockets, past its Hello. */

import type { PolicyRules } from '../../../../src/graph/link.js';
import type { Use } from '../../../../src/graph/use.js';
import { type Header, readFrame, readHeader } from '../../../../src/plugins/dbus/header.js';
import { MessageSession } from '../../../../src/plugins/dbus/message-session.js';
import { BUS, BUS_PATH, writeMessage } from '../../../../src/plugins/dbus/message-writer.js';
import { Policy } from '../../../../src/plugins/dbus/policy.js';
import { PolicyFilter } from '../../../../src/plugins/dbus/policy-filter.js';
import { WorkBudget } from '../../../../src/plugins/dbus/work-budget.js';
import { FakeChannel } from './fake-channel.js';

export const SELF = ':1.1';

export interface PolicySession {
  readonly consumer: FakeChannel;
  readonly bus: FakeChannel;
  readonly refused: Use[];
  readonly used: Use[];
  /** How it ended, and of what. */
  readonly ends: unknown[];
}

/** `names`: who owns what when the consumer comes. */
export async function policySession(
  rules: PolicyRules,
  names: Readonly<Record<string, string>> = {},
  enforce = true,
  work = new WorkBudget(),
): Promise<PolicySession> {
  const [consumer, bus] = [new FakeChannel(), new FakeChannel()];
  const session: PolicySession = { consumer, bus, refused: [], used: [], ends: [] };
  const policy = new Policy(rules);
  const listener = {
    isListening: true,
    used: (use: Use) => session.used.push(use),
    refused: (use: Use) => session.refused.push(use),
  };
  new MessageSession({
    ...{ consumer: consumer.channel, bus: bus.channel, fds: false, budget: { fds: 0 } },
    filters: [(port) => new PolicyFilter({ policy, enforce, listener }, port)],
    work,
    tally: { toProvider: 0, toConsumer: 0, closes: {}, denied: {}, audited: {} },
    onEnd: (...how) => session.ends.push(how),
  });
  consumer.feed(toBus(1, 'Hello'));
  answer(session, 1, [SELF]);
  for (const header of headersOf(bus.take())) {
    if (header.member === 'AddMatch') answer(session, header.serial, []);
    if (header.member === 'ListNames')
      answer(session, header.serial, [[BUS, ...Object.keys(names)]]);
  }
  await settled();
  for (const [header, name] of questions(bus.take()))
    answer(session, header.serial, [names[name] ?? '']);
  await settled();
  consumer.take();
  return session;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

function answer({ bus }: PolicySession, replySerial: number, values: (string | string[])[]): void {
  const fields = { type: 2, serial: 1, replySerial, sender: BUS, destination: SELF };
  bus.feed(writeMessage(fields, values));
}

/** Questions for owners, and whose. */
function* questions(bytes: Buffer): Generator<[Header, string]> {
  let at = 0;
  for (const header of headersOf(bytes)) {
    const frame = readFrame(bytes, at);
    if (typeof frame === 'string') throw new Error(frame);
    const length = bytes.readUInt32LE(at + frame.header);
    const start = at + frame.header + 4;
    yield [header, bytes.toString('latin1', start, start + length)];
    at += frame.total;
  }
}

export function toBus(serial: number, member: string, ...values: (string | number)[]): Buffer {
  const to = { path: BUS_PATH, interface: BUS, destination: BUS };
  return writeMessage({ type: 1, serial, member, ...to }, values);
}

export function headersOf(bytes: Buffer): Header[] {
  const headers: Header[] = [];
  for (let at = 0; at < bytes.length; ) {
    const frame = readFrame(bytes, at);
    if (typeof frame === 'string') throw new Error(frame);
    const header = readHeader(bytes, at, frame);
    if (typeof header === 'string') throw new Error(header);
    headers.push(header);
    at += frame.total;
  }
  return headers;
}
