/**
 * Links with "mode": "fd" between containers, on a broker that takes stand-ins and answers ioctls
 * (test/support/stand-ins.ts): /dev/null is card3, /dev/full card7, /dev/net/tun renderD200, /dev/zero an input
 * device. What a client calls "marked" is master, or revoked.
 */
import { afterAll, afterEach } from 'vitest';
import { usePair } from '../../support/container-pair.js';
import type { WireLink } from '../../support/link.js';
import type { Peer } from '../../support/peer-process.js';
import { IoctlRecord } from '../../support/stand-ins.js';
import { Devices } from './support.js';

export const CARD = '/run/dev/card';
export const KEYS = '/run/dev/keys';

export class Descriptors {
  readonly at: Devices;
  readonly record: IoctlRecord;

  constructor(at: Devices, record: IoctlRecord) {
    this.at = at;
    this.record = record;
  }

  card(fields: Partial<WireLink> = {}): WireLink {
    return this.at.link({ device: 'fd', socket: '/dev/dri/card3', target: CARD, ...fields });
  }

  keys(fields: Partial<WireLink> = {}): WireLink {
    const where = { socket: '/run/dev/keys', target: KEYS };
    return this.at.link({ name: 'keys', type: 'input', device: 'fd', ...where, ...fields });
  }

  makeDevices(): Promise<string> {
    return this.at.inProvider(`mkdir -p /dev/dri /run/dev; cd /dev/dri; mknod card3 c 1 3
      mknod card7 c 1 7; mknod renderD200 c 10 200; mknod /run/dev/keys c 1 5`);
  }

  async established(...links: WireLink[]): Promise<void> {
    await this.makeDevices();
    await this.at.until('established', ...links);
  }

  /** Of a client: "marked" or "-". */
  async mark(peer: Peer): Promise<string> {
    peer.say('look\n');
    return peer.line();
  }

  leases(): string[] {
    return this.record.lines().filter((line) => line.includes('LEASE'));
  }
}

/** Call it within `describe`. */
export function useDescriptors(): Descriptors {
  const record = new IoctlRecord();
  afterAll(() => record.remove());
  const at = usePair(
    new Devices({ args: ['--patience', '2', '--drain', '3600'], standIns: record }),
  );
  afterEach(async () => {
    await at.clear();
    record.setBusy(false);
    record.clear();
  });
  return new Descriptors(at, record);
}
