import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BOUNDS_MS } from '../../../src/kernel/durations.js';
import { LITTLE } from '../../../src/kernel/word.js';
import { MAX_RULES, RULE_SIZE } from '../../../src/relay/access.js';
import * as protocol from '../../../src/relay/protocol.js';
import { OUTCOMES } from '../../../src/relay/transfer.js';
import { fc, property } from '../../support/property.js';

const header = readFileSync(new URL('../../../native/relay-protocol.h', import.meta.url), 'utf8');

const defined = (name: string) =>
  Number(new RegExp(`#define ${name} +(\\d+)u`).exec(header)?.[1] ?? Number.NaN);

/** Names without their common beginning, and numbers, of what the header numbers itself. */
const numbered = (prefix: string) =>
  Object.fromEntries(
    [...header.matchAll(new RegExp(`^\\t${prefix}(\\w+) = (\\d+),$`, 'gm'))].map(
      ([, name, value]) => [name, Number(value)],
    ),
  );

/** Of an enum that counts from 0: its names without their common beginning, in order. */
const counted = (text: string, name: string, prefix: string) =>
  [
    ...(new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(text)?.[1] ?? '').matchAll(
      new RegExp(`\\b${prefix}([A-Z_]+)\\b`, 'g'),
    ),
  ].map(([, value]) => (value as string).toLowerCase().replaceAll('_', '-'));

/** Members of a struct of the header, with their types. */
function membersOf(name: string): { name: string; type: string; count: number }[] {
  const body = new RegExp(`struct ${name} \\{([^}]*)\\}`).exec(header)?.[1] ?? '';
  return [...body.matchAll(/(uint(?:32|64)_t) ([^;]+);/g)].flatMap(([, type, names]) =>
    (names as string).split(',').map((each) => {
      const [, member, count = '1'] = /(\w+)(?:\[(\d+)\])?/.exec(each) ?? [];
      return { name: member as string, type: type as string, count: Number(count) };
    }),
  );
}

describe('the protocol of the relay', () => {
  test('has the same limits and version on both sides', () => {
    expect(protocol.RELAY_VERSION).toBe(defined('PVX_RELAY_VERSION'));
    expect(protocol.LINKS_MAX).toBe(defined('PVX_LINKS_MAX'));
    expect(protocol.HELLO_FLAGS).toEqual({ TIMES: defined('PVX_HELLO_TIMES') });
    const [, bounds = ''] = /^#define PVX_TIMES_BOUNDS ([\d, ]+)/m.exec(header) ?? [];
    expect(bounds.split(', ').map((one) => Number(one) / 1_000)).toEqual(BOUNDS_MS);
    expect(protocol.TIMES_LENGTH).toBe(defined('PVX_TIMES_COUNTS') + 1);
    expect(protocol.NOTE_MAX).toBe(defined('PVX_NOTE_MAX'));
    expect(protocol.COMMAND_DATA_MAX).toBe(defined('PVX_COMMAND_DATA_MAX'));
    expect(protocol.LABEL_MAX).toBe(defined('PVX_LABEL_MAX'));
    expect(MAX_RULES).toBe(defined('PVX_RULES_MAX'));
    expect(RULE_SIZE).toBe(defined('PVX_RULE_SIZE'));
  });

  test('has the same commands, events and flags with the same numbers on both sides', () => {
    expect(numbered('PVX_RELAY_')).toEqual(protocol.OPS);
    expect(numbered('PVX_EVENT_')).toEqual(protocol.EVENTS);
    const link = ['FDS', 'LIMITED', 'PROXY_1', 'PROXY_2'].map((name) => [
      name,
      defined(`PVX_LINK_${name}`),
    ]);
    expect(Object.fromEntries(link)).toEqual(protocol.LINK_FLAGS);
    expect(protocol.TRANSFER_FLAGS).toEqual({
      TO_PROVIDER: defined('PVX_TRANSFER_TO_PROVIDER'),
      END: defined('PVX_TRANSFER_END'),
    });
    expect(protocol.STANDING_FLAGS).toEqual({
      LISTENS: defined('PVX_STANDING_LISTENS'),
      DRAINS: defined('PVX_STANDING_DRAINS'),
    });
    expect(counted(header, 'pvx_accept_mode', 'PVX_ACCEPT_')).toEqual(
      Object.keys(protocol.ACCEPT_MODES),
    );
    expect(Object.values(protocol.ACCEPT_MODES)).toEqual([0, 1, 2]);
  });

  test('numbers reasons, outcomes and rings as the relay does', () => {
    expect(counted(header, 'pvx_reason', 'PVX_REASON_')).toEqual([...protocol.CLOSES, 'count']);
    expect(counted(header, 'pvx_outcome', 'PVX_MOVED_')).toEqual(OUTCOMES);
    expect(counted(header, 'pvx_ring', 'PVX_RING_')).toEqual(['none', 'member', 'closed']);
  });

  test('has records and counters of the same layout on both sides', () => {
    const size = (name: string) =>
      Number(new RegExp(`sizeof\\(struct ${name}\\) == (\\d+)`).exec(header)?.[1]);
    expect(protocol.COMMAND_SIZE).toBe(size('pvx_command'));
    expect(protocol.EVENT_SIZE).toBe(size('pvx_event'));
    expect(protocol.OPEN_SIZE).toBe(size('pvx_open'));
    expect(protocol.TAPPED_SIZE).toBe(size('pvx_tapped'));
    expect(protocol.COUNTERS_LENGTH * 8).toBe(size('pvx_counters') + 8);
    const indices: Record<string, number> = {};
    let next = 0;
    for (const { name, count } of membersOf('pvx_counters')) {
      indices[name] = next;
      next += count;
    }
    const { toProvider, toConsumer, ...others } = protocol.COUNTERS;
    expect({ ...others, bytes: toProvider }).toEqual({ ...indices, joins: next });
    expect(toConsumer).toBe(toProvider + 1);
    expect(protocol.CLOSES.length).toBeLessThanOrEqual(others.links - others.closes);
  });

  test('lays a command out in the order of the header', () => {
    const fields = { link: 1, conn: 2, mode: 3, flags: 4, ms: 5, most: 6, other: 7 };
    const record = protocol.encodeCommand({
      ...{ op: 'TRANSFER', ...fields, bytes: 2 ** 33 + 8 },
      ...{ request: Buffer.from('request'), data: Buffer.from('data') },
    });
    expect(valuesOf('pvx_command', record)).toEqual({
      ...{ op: protocol.OPS.TRANSFER, ...fields, bytes: 2n ** 33n + 8n },
      ...{ request_length: 7, data_length: 4 },
    });
    expect(record.subarray(protocol.COMMAND_SIZE).toString()).toBe('requestdata');
  });

  test('leaves nothing of one command in the next, and has a word for all bytes', () => {
    protocol.encodeCommand({ op: 'LINK', link: 9, bytes: 9, data: Buffer.from('data') });
    const stop = valuesOf('pvx_command', protocol.encodeCommand({ op: 'STOP' }));
    expect(Object.values(stop).map(Number)).toEqual([protocol.OPS.STOP, ...Array(10).fill(0)]);
    const { bytes } = valuesOf(
      'pvx_command',
      protocol.encodeCommand({ op: 'TRANSFER', bytes: Infinity }),
    );
    expect(bytes).toBe(2n ** 64n - 1n);
  });

  test('reads events in the order of the header, one after the other', () => {
    const event = (type: number, nfds: number, data: string) => {
      const values = { type, link: 1, conn: 2, error: 3, bytes: 2n ** 33n + 4n };
      return recordOf('pvx_event', { ...values, nfds, data_length: data.length }, data);
    };
    const read = { link: 1, conn: 2, error: 3, bytes: 2 ** 33 + 4 };
    const record = Buffer.concat([
      event(protocol.EVENTS.STANDING, 0, 'a note'),
      event(protocol.EVENTS.HANDED, 1, ''),
    ]);
    expect(protocol.decodeEvents(record)).toEqual([
      { type: 'STANDING', ...read, hasFd: false, data: Buffer.from('a note') },
      { type: 'HANDED', ...read, hasFd: true, data: Buffer.alloc(0) },
    ]);
    for (const cut of [1, 31, 32, 37, 60]) {
      expect(protocol.decodeEvents(record.subarray(0, cut))).toBeNull();
    }
    expect(protocol.decodeEvents(Buffer.alloc(0))).toBeNull();
    expect(protocol.decodeEvents(event(99, 0, ''))).toBeNull();
    expect(protocol.decodeEvents(event(protocol.EVENTS.HANDED, 2, ''))).toBeNull();
  });

  test('reads connections with their labels, and no further than there are whole ones', () => {
    const values = { conn: 7, joined: 1, pid: 42, uid: 1, gid: 2, family: 0, port: 0 };
    const long = { since: 2n ** 33n, bytes: 5n };
    const open = (label: string, more = {}) => {
      const fields = { ...values, ...more, ...long, label_length: label.length };
      const [head, address] = [recordOf('pvx_open', fields, ''), Buffer.alloc(24)];
      address.set([192, 0, 2, 1], 8);
      return Buffer.concat([head, address, Buffer.from(label)]);
    };
    const read = { conn: 7, joined: true, pid: 42, uid: 1, gid: 2, since: 2 ** 33 };
    const all = [
      { ...read, remote: null, toProvider: 5, toConsumer: 0, label: '' },
      { ...read, remote: { ip: '192.0.2.1', port: 80 }, toProvider: 5, toConsumer: 0, label: 'a' },
    ];
    const data = Buffer.concat([open(''), open('a', { family: 4, port: 80 })]);
    expect(protocol.decodeOpen(data)).toEqual(all);
    for (const cut of [1, 73])
      expect(protocol.decodeOpen(data.subarray(0, -cut))).toEqual([all[0]]);
  });

  property('decodes any record or refuses it, within its bounds', async (holds) => {
    const word = fc.oneof(fc.nat(40), fc.nat(0xffff_ffff));
    const record = fc.array(word, { maxLength: 60 }).map((words) => Uint32Array.from(words));
    await holds(
      fc.property(record, fc.nat(3), (words, cut) => {
        const bytes = Buffer.from(words.buffer).subarray(cut);
        const events = protocol.decodeEvents(bytes);
        const size = (events ?? []).reduce(
          (sum, { data }) => sum + protocol.EVENT_SIZE + data.length,
          0,
        );
        if (events) expect(size).toBe(bytes.length);
      }),
      { runs: 2_000 },
    );
  });
});

/** What a record has at the place of each member. */
function valuesOf(struct: string, record: Buffer): Record<string, number | bigint> {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  let at = 0;
  const values = membersOf(struct).map(({ name, type }): [string, number | bigint] => {
    const isLong = type === 'uint64_t';
    const value = isLong ? view.getBigUint64(at, LITTLE) : view.getUint32(at, LITTLE);
    at += isLong ? 8 : 4;
    return [name, value];
  });
  return Object.fromEntries(values);
}

function recordOf(
  struct: string,
  values: Readonly<Record<string, number | bigint>>,
  data: string,
): Buffer {
  const parts = membersOf(struct).map(({ name, type }) =>
    type === 'uint64_t'
      ? Buffer.from(BigUint64Array.of(values[name] as bigint).buffer)
      : Buffer.from(Uint32Array.of(values[name] as number).buffer),
  );
  return Buffer.concat([...parts, Buffer.from(data)]);
}
