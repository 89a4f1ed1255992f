/**
 * Devices opened, leased and taken back by pvx-broker, with stand-ins (test/support/stand-ins.ts): /dev/null is
 * card3, /dev/full card7, /dev/net/tun a renderer, /dev/zero an input device. A file that is master or was revoked
 * has O_APPEND set there, in every descriptor of it.
 */
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DeviceKind } from '../../../src/broker/devices.js';
import { HOST } from '../../../src/broker/protocol.js';
import { startBroker, type TestBroker } from '../../support/broker.js';
import { countOpenAtRest, countOpenFiles } from '../../support/open-files.js';
import { IoctlRecord, standInBroker } from '../../support/stand-ins.js';
import { eventually } from '../../support/wait.js';
import { failure } from './support.js';

describe('pvx-broker and opened devices', () => {
  let host: TestBroker;
  const record = new IoctlRecord();
  const devices = () => host.broker.devices;
  const brokerPid = () => host.brokerProcess.pid as number;

  beforeAll(async () => {
    host = await startBroker({ broker: standInBroker(), env: record.env });
  });
  afterAll(async () => {
    await host?.stop();
    record.remove();
  });
  afterEach(() => {
    record.setBusy(false);
    record.clear();
  });

  async function node(path: string, kind: DeviceKind = 'drm'): Promise<number> {
    const found = await devices().find(HOST, kind, path);
    if (!found.ok) throw new Error(found.errno);
    return found.value.fd;
  }

  async function open(path: string, kind: DeviceKind = 'drm', options = {}) {
    const opened = await devices().open(kind, options, await node(path, kind));
    if (!opened.ok) throw new Error(opened.errno);
    return opened.value;
  }

  /** Of the open file, which all descriptors of it share. */
  function flags(fd: number): number {
    const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
    return Number.parseInt(/flags:\s+(\d+)/.exec(text)?.[1] ?? '', 8);
  }
  const isMarked = (fd: number) => (flags(fd) & constants.O_APPEND) !== 0;

  test('gives an input device, non-blocking and with the access that was asked for', async () => {
    for (const readOnly of [true, false]) {
      const { fd, grant } = await open('/dev/zero', 'input', { readOnly });
      expect(flags(fd) & 3).toBe(readOnly ? constants.O_RDONLY : constants.O_RDWR);
      expect(flags(fd) & constants.O_NONBLOCK).toBe(constants.O_NONBLOCK);
      await devices().revoke(grant);
      closeSync(fd);
    }
  });

  test('revokes an input device under whoever has it, once', async () => {
    const before = await countOpenAtRest(brokerPid());
    const { fd, grant } = await open('/dev/zero', 'input');
    expect(isMarked(fd)).toBe(false);
    expect(await devices().revoke(grant)).toEqual({ ok: true, value: undefined });
    expect(isMarked(fd)).toBe(true);
    expect(record.lines()).toEqual(['1:5 EVIOCREVOKE']);
    expect(await devices().revoke(grant)).toEqual(failure('EBADF'));
    await eventually(() => expect(countOpenFiles(brokerPid())).toBe(before));
    closeSync(fd);
  });

  test('opens a card that is not master, and has nothing to take back of it', async () => {
    const { fd, grant } = await open('/dev/null');
    expect(grant).toBe(0);
    expect(record.lines()).toEqual(['1:3 DROP_MASTER']);
    closeSync(fd);
  });

  test('opens a card as master, and drops that when it is taken back', async () => {
    const { fd, grant } = await open('/dev/null', 'drm', { master: true });
    expect(isMarked(fd)).toBe(true);
    expect(await devices().revoke(grant)).toEqual({ ok: true, value: undefined });
    expect(isMarked(fd)).toBe(false);
    expect(record.lines()).toEqual(['1:3 SET_MASTER', '1:3 DROP_MASTER']);
    closeSync(fd);
  });

  test('gives nothing where somebody else is master', async () => {
    record.setBusy(true);
    const before = await countOpenAtRest(brokerPid());
    const asMaster = await devices().open('drm', { master: true }, await node('/dev/null'));
    expect(asMaster).toEqual(failure('EBUSY'));
    expect(await devices().lease([51, 41], await node('/dev/null'))).toEqual(failure('EBUSY'));
    await eventually(() => expect(countOpenFiles(brokerPid())).toBe(before));
  });

  test('reads what a card has', async () => {
    expect(await devices().readCard(await node('/dev/null'))).toEqual({
      ok: true,
      value: {
        crtcs: [41, 42],
        connectors: [
          { id: 51, type: 11, number: 1, crtcs: [41], crtc: 41 },
          { id: 52, type: 10, number: 1, crtcs: [41, 42], crtc: 0 },
          { id: 53, type: 14, number: 1, crtcs: [41, 42], crtc: 42 },
        ],
      },
    });
  });

  test('leases from one master of each card, and revokes each lease by itself', async () => {
    const before = await countOpenAtRest(brokerPid());
    const first = await devices().lease([51, 41], await node('/dev/null'));
    const second = await devices().lease([52, 42], await node('/dev/null'));
    const other = await devices().lease([53], await node('/dev/full'));
    if (!first.ok || !second.ok || !other.ok) throw new Error('no lease');
    expect(await devices().lease([51], await node('/dev/null'))).toEqual(failure('EBUSY'));
    for (const { value } of [first, second, other]) {
      await devices().revoke(value.grant);
      closeSync(value.fd);
    }
    expect(record.lines()).toEqual([
      '1:3 SET_MASTER',
      '1:3 CREATE_LEASE 51 41',
      '1:3 CREATE_LEASE 52 42',
      '1:7 SET_MASTER',
      '1:7 CREATE_LEASE 53',
      '1:3 REVOKE_LEASE 1',
      '1:3 REVOKE_LEASE 2',
      '1:7 REVOKE_LEASE 3',
    ]);
    await eventually(() => expect(countOpenFiles(brokerPid())).toBe(before));
  });

  test('leases nothing for a list that is none', async () => {
    expect(await devices().lease([], await node('/dev/null'))).toEqual(failure('EINVAL'));
    const many = Array.from({ length: 257 }, (_, i) => i);
    expect(await devices().lease(many, await node('/dev/null'))).toEqual(failure('EINVAL'));
  });

  test('has no master among input devices', async () => {
    const opened = await devices().open('input', { master: true }, await node('/dev/zero'));
    expect(opened).toEqual(failure('EINVAL'));
  });

  test('takes everything back when the daemon ends, however it ends', async () => {
    const own = new IoctlRecord();
    const other = await startBroker({ broker: standInBroker(), env: own.env });
    const { devices: theirs } = other.broker;
    const open = async (path: string, kind: DeviceKind, options = {}) => {
      const found = await theirs.find(HOST, kind, path);
      if (!found.ok) throw new Error(found.errno);
      const opened = await theirs.open(kind, options, found.value.fd);
      if (!opened.ok) throw new Error(opened.errno);
      return opened.value.fd;
    };
    const input = await open('/dev/zero', 'input');
    const master = await open('/dev/full', 'drm', { master: true });
    await other.stop();
    expect(isMarked(input)).toBe(true);
    expect(isMarked(master)).toBe(false);
    expect(own.lines().slice(-2)).toEqual(['1:5 EVIOCREVOKE', '1:7 DROP_MASTER']);
    closeSync(input);
    closeSync(master);
    own.remove();
  });

  test('keeps within its table, and says so', async () => {
    const grants: number[] = [];
    let refused = '';
    while (refused === '') {
      const found = await devices().find(HOST, 'input', '/dev/zero');
      if (!found.ok) break;
      const opened = await devices().open('input', {}, found.value.fd);
      if (!opened.ok) refused = opened.errno;
      else {
        grants.push(opened.value.grant);
        closeSync(opened.value.fd);
      }
    }
    expect(refused).toMatch(/^E(M|N)FILE$/);
    for (const grant of grants) await devices().revoke(grant);
    const { fd, grant } = await open('/dev/zero', 'input');
    expect(grant).not.toBe(0);
    closeSync(fd);
  });

  test('is not what is installed: that one takes no stand-ins', async () => {
    const real = await startBroker();
    for (const path of ['/dev/null', '/dev/full', '/dev/net/tun', '/dev/zero']) {
      for (const kind of ['drm', 'input'] as const) {
        expect(await real.broker.devices.find(HOST, kind, path)).toEqual(failure('EPROTOTYPE'));
        const opened = openSync(path, constants.O_RDONLY);
        expect(await real.broker.devices.open(kind, {}, opened)).toEqual(failure('EPROTOTYPE'));
      }
    }
    await real.stop();
  });
});
