/** What pvx-bus is started with, and where it can't be. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { busPlaces, DEFAULT_UIDS, parseRange } from '../../../src/bus/program.js';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';

describe('a range of uids', () => {
  it('is two numbers above those of the host, the lower one first', () => {
    expect(parseRange('200000-265535')).toEqual(DEFAULT_UIDS);
    expect(parseRange('70000-70000')).toEqual({ first: 70_000, last: 70_000 });
  });

  it.each([
    ...['', '200000', '200001-200000', '-200000-200001', '200000-200001 ', '0x30d40-0x30d41'],
    ...['0-70000', '1000-2000', '65534-70000', '200000-2147483647', '200000-99999999999'],
  ])('is not %j', (text) => {
    expect(parseRange(text)).toBeNull();
  });

  it('is refused on the command line in a sentence', () => {
    const argv = ['--bus-uids', '0-5'];
    const { status, stderr } = spawnSync(`${PACKAGE_ROOT}/bin/pv-xconnect`, argv, {
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringContaining('Two uids above 65535, the lower one first'),
    });
  });
});

it('the bus is beside the control socket, and its uids below the storage', () => {
  expect(busPlaces('/run/pv-xconnect/control.sock', '/var/lib/pv-xconnect')).toEqual({
    folder: '/run/pv-xconnect/bus',
    socket: '/run/pv-xconnect/bus/system_bus_socket',
    store: '/var/lib/pv-xconnect/bus',
  });
});
