import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as devices from '../../../src/broker/devices.js';
import * as protocol from '../../../src/broker/protocol.js';
import { fc, property } from '../../support/property.js';

const header = readFileSync(new URL('../../../native/protocol.h', import.meta.url), 'utf8');

const channel = readFileSync(new URL('../../../native/broker/channel.c', import.meta.url), 'utf8');
const security = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8');

/** The broker's table of operations, as docs/security.md is to have it. */
function describedOperations(): string[] {
  const who = { DAEMON: 'the daemon', BOTH: 'the daemon, the relay' };
  const where = {
    HOST: 'on the host',
    CONTAINER: 'in a container',
    EITHER: 'in a container or on the host',
    NODE: 'on a device node',
  };
  const entries = channel.matchAll(/^\tOPERATION\((\w+), (\w+), (\w+),[^"]*"([^"]*)"\)/gm);
  return [...entries].map(
    ([, name, askers, place, grants]) =>
      `| \`${name}\` | ${who[askers as keyof typeof who]} | ${where[place as keyof typeof where]} | ${grants} |`,
  );
}

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

  test('is told word for word in docs/security.md, operation by operation', () => {
    const told = security.split('\n').filter((line) => /^\| `[A-Z_]+` \| the daemon/.test(line));
    expect(told).toEqual(describedOperations());
    expect(told).toHaveLength(Object.keys(protocol.OPS).length);
  });

  test('has records of the same size on both sides', () => {
    const request = /sizeof\(struct pvx_request\) == (\d+) \+ PVX_PATH_MAX/.exec(header)?.[1];
    const reply = /sizeof\(struct pvx_reply\) == (\d+)/.exec(header)?.[1];
    expect(protocol.REQUEST_SIZE).toBe(Number(request) + protocol.PATH_MAX);
    expect(protocol.REPLY_SIZE).toBe(Number(reply));
  });

  test('has the same kinds of devices and ways to open them on both sides', () => {
    expect(devices.DEVICE_KINDS).toEqual({
      drm: defined('PVX_DEVICE_DRM'),
      input: defined('PVX_DEVICE_INPUT'),
    });
    expect(devices.OPEN_READ_ONLY).toBe(defined('PVX_OPEN_READ_ONLY'));
    expect(devices.OPEN_MASTER).toBe(defined('PVX_OPEN_MASTER'));
    expect(devices.CRTCS_MAX).toBe(defined('PVX_CRTCS_MAX'));
    expect(devices.CONNECTORS_MAX).toBe(defined('PVX_CONNECTORS_MAX'));
    const host = Number(/#define PVX_HOST (0x[0-9a-f]+)u/.exec(header)?.[1]);
    expect(protocol.HOST).toBe(host);
  });

  test('has device records of the same size on both sides', () => {
    const node = /sizeof\(struct pvx_node\) == (\d+)/.exec(header)?.[1];
    expect(devices.NODE_SIZE).toBe(Number(node));
    const [, head, crtc, connector] =
      /sizeof\(struct pvx_card\) == (\d+) \+ (\d+) \* PVX_CRTCS_MAX \+ (\d+) \*/.exec(header) ?? [];
    expect(devices.CARD_SIZE).toBe(
      Number(head) + Number(crtc) * devices.CRTCS_MAX + Number(connector) * devices.CONNECTORS_MAX,
    );
  });

  property('decodes a card of any numbers, within its bounds', async (holds) => {
    await holds(
      fc.property(fc.array(fc.nat(0xffff_ffff), { minLength: 354, maxLength: 354 }), (words) => {
        const card = devices.decodeCard(Buffer.from(Uint32Array.from(words).buffer));
        expect(card.crtcs.length).toBe(Math.min(words[0] as number, devices.CRTCS_MAX));
        expect(card.connectors.length).toBe(Math.min(words[1] as number, devices.CONNECTORS_MAX));
        for (const { crtcs } of card.connectors) {
          expect(crtcs.every((id) => card.crtcs.includes(id))).toBe(true);
        }
      }),
    );
  });

  test('puts words in the place of the path, with any bytes in them', () => {
    const record = protocol.encodeRequest(1, 'LEASE_CARD', { words: [0, 0x01020304] }) as Buffer;
    expect(record.readUInt32LE(28)).toBe(8);
    expect(record.readUInt32LE(40)).toBe(0);
    expect(record.readUInt32LE(44)).toBe(0x01020304);
    expect(protocol.encodeRequest(1, 'LEASE_CARD', { words: Array(257).fill(1) })).toBeNull();
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

  property('decodes any record or refuses it', async (holds) => {
    await holds(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const reply = protocol.decodeReply(Buffer.from(bytes));
        if (reply) expect(reply.data.length).toBe(bytes.length - protocol.REPLY_SIZE);
      }),
    );
  });
});
