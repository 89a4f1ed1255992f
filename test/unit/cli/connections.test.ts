import { describe, expect, test } from 'vitest';
import { bytesText, connectionTable, endText } from '../../../src/cli/connections.js';
import type { ConnectionView } from '../../../src/status/connections.js';

const ONE: ConnectionView = {
  ...{ consumer: 'client', name: 'raw', target: '/t', id: '1.1', state: 'open', address: null },
  since: '2026-11-29T10:00:00.123Z',
  bytes: { to_provider: 5, to_consumer: 2_048 },
  process: { pid: 12, uid: 0, command: 'app --once', host_pid: 4711, host_uid: 100_000 },
};
const ENDED = { ...ONE, reason: 'eof', ended: '2026-11-29T10:00:01.623Z' };

describe('connections', () => {
  test('are a line each', () => {
    const all: ConnectionView[] = [
      ONE,
      { ...ONE, name: 'bus', unique_name: ':1.7' },
      { ...ONE, name: 'site', process: null, address: '192.0.2.1:80', request: 'GET /x' },
      { ...ONE, name: 'slow', process: null, state: 'waiting' },
    ];
    expect(connectionTable(all)).toBe(
      [
        'SINCE                 CONSUMER  SERVICE  CLIENT         UID  SENT  RECEIVED  ABOUT',
        '2026-11-29T10:00:00Z  client    raw      12 app --once  0    5 B   2.00 KiB  -',
        '2026-11-29T10:00:00Z  client    bus      12 app --once  0    5 B   2.00 KiB  :1.7',
        '2026-11-29T10:00:00Z  client    site     192.0.2.1:80   -    5 B   2.00 KiB  GET /x',
        '2026-11-29T10:00:00Z  client    slow     -              -    5 B   2.00 KiB  waits for its provider',
        '',
      ].join('\n'),
    );
  });

  test('that ended say why, and when they did', () => {
    expect(endText({ ...ENDED, unique_name: ':1.7' })).toBe(
      '2026-11-29T10:00:01Z ended (eof): client → raw, 12 app --once, :1.7, after 1.5 s, 5 B sent, 2.00 KiB received\n',
    );
    const gone = { pid: null, uid: null, command: null, host_pid: 4711, host_uid: 0 };
    expect(endText({ ...ENDED, process: gone })).toContain(
      ' pid 4711 of the host, which has ended,',
    );
  });

  test('can do nothing to a terminal, whatever a program is called', () => {
    const process = { pid: 1, uid: 0, command: 'a\u001b[2J\nb', host_pid: 1, host_uid: 0 };
    for (const text of [connectionTable([{ ...ONE, process }]), endText({ ...ENDED, process })]) {
      expect(text).toContain('a\\u001b[2J\\u000ab');
      expect(text).not.toContain('\u001b');
    }
  });

  test('have numbers of few digits', () => {
    const sizes = [0, 1_023, 1_024, 10_240, 999 * 1_024, 1_000 * 1_024, 2 ** 40, 2 ** 52];
    expect(sizes.map(bytesText)).toEqual([
      '0 B',
      '1023 B',
      '1.00 KiB',
      '10.0 KiB',
      '999 KiB',
      '0.977 MiB',
      '1.00 TiB',
      '4096 TiB',
    ]);
  });
});
