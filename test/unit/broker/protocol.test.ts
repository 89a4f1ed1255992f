import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as protocol from '../../../src/broker/protocol.js';

const header = readFileSync(new URL('../../../native/protocol.h', import.meta.url), 'utf8');

function defined(name: string): number {
  return Number(new RegExp(`#define ${name} (\\w+)u`).exec(header)?.[1]);
}

describe('the protocol of the broker', () => {
  test('has the same limits and version on both sides', () => {
    expect(protocol.PROTOCOL_VERSION).toBe(defined('PVX_PROTOCOL_VERSION'));
    expect(protocol.PATH_MAX).toBe(defined('PVX_PATH_MAX'));
    expect(protocol.DATA_MAX).toBe(defined('PVX_DATA_MAX'));
    expect(protocol.HOST).toBe(defined('PVX_HOST'));
  });

  test('has the same operations with the same numbers on both sides', () => {
    const ops = [...header.matchAll(/^\tPVX_OP_(\w+) = (\d+),$/gm)];
    const theirs = Object.fromEntries(ops.map(([, name, value]) => [name, Number(value)]));
    expect(theirs).toEqual(protocol.OPS);
  });

  test('has records of the same size on both sides', () => {
    const request = /sizeof\(struct pvx_request\) == (\d+) \+ PVX_PATH_MAX/.exec(header)?.[1];
    const reply = /sizeof\(struct pvx_reply\) == (\d+)/.exec(header)?.[1];
    expect(protocol.REQUEST_SIZE).toBe(Number(request) + protocol.PATH_MAX);
    expect(protocol.REPLY_SIZE).toBe(Number(reply));
  });

  test('lays a request out in the order of the header', () => {
    const order = /struct pvx_request \{([^}]+)\}/.exec(header)?.[1] ?? '';
    const names = [...order.matchAll(/uint32_t (\w+);/g)].map((match) => match[1]);
    const record = protocol.encodeRequest(1, 'CONNECT_UNIX', {
      container: 2,
      type: 3,
      uid: 4,
      gid: 5,
      arg: 6,
      stamp: 7,
      path: '/é',
    }) as Buffer;
    const words = names.map((_, i) => record.readUInt32LE(i * 4));
    expect(Object.fromEntries(names.map((name, i) => [name, words[i]]))).toEqual({
      id: 1,
      op: protocol.OPS.CONNECT_UNIX,
      container: 2,
      type: 3,
      uid: 4,
      gid: 5,
      arg: 6,
      path_length: 3,
    });
    expect(record.readBigUInt64LE(32)).toBe(7n);
    expect(record.subarray(40, 43).toString()).toBe('/é');
    expect(record.subarray(43).every((byte) => byte === 0)).toBe(true);
  });

  test('lays an address out as raw bytes and its port', () => {
    const address = { ip: '2001:db8::1', port: 8080 };
    const record = protocol.encodeRequest(1, 'LISTEN_TCP', { container: 2, address }) as Buffer;
    expect(record.readUInt32LE(24)).toBe(8080);
    expect(record.readUInt32LE(28)).toBe(16);
    expect(record.subarray(40, 56).toString('hex')).toBe('20010db8000000000000000000000001');
    const nowhere = { ip: 'localhost', port: 1 };
    expect(protocol.encodeRequest(1, 'LISTEN_TCP', { address: nowhere })).toBeNull();
  });

  test('refuses a path that does not fit, or has a NUL in it', () => {
    const fits = 'a'.repeat(protocol.PATH_MAX);
    expect(protocol.encodeRequest(1, 'READ', { path: fits })).not.toBeNull();
    expect(protocol.encodeRequest(1, 'READ', { path: `${fits}a` })).toBeNull();
    expect(protocol.encodeRequest(1, 'READ', { path: '/a\0b' })).toBeNull();
  });

  test('decodes any record or refuses it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const reply = protocol.decodeReply(Buffer.from(bytes));
        if (reply) expect(reply.data.length).toBe(bytes.length - protocol.REPLY_SIZE);
      }),
    );
  });

  test('names every errno that the system has, and numbers the others', () => {
    expect(protocol.errnoName(constants.errno.ESTALE)).toBe('ESTALE');
    expect(protocol.errnoName(constants.errno.EAGAIN)).toBe('EAGAIN');
    expect(protocol.errnoName(4711)).toBe('E4711');
  });
});
