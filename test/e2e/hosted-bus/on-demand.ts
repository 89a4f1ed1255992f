/**
 * One client on a bus whose runtime is the test: it has the link as the test wants it, and starts the owners of names
 * when the test says so. The real daemon, pvx-bus and dbus-daemon.
 */
import dbus from 'dbus-next';
import { expect } from 'vitest';
import { TestBus } from '../../support/bus/bus.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { TestDaemon } from '../../support/daemon.js';
import { type WireLink, wireLink } from '../../support/link.js';
import { eventually } from '../../support/wait.js';
import { requires, services } from '../../unit/manifest/scratch.js';
import { FOO, TARGET } from './support.js';

export const OTHER = 'org.example.Other';
export const TEST = 'org.example.Test';

export class OnDemandStand {
  readonly bus = new TestBus();
  uids: ReadonlyMap<string, number> = new Map();
  client!: TestContainer;
  daemon!: TestDaemon;
  /** Of the runtime. */
  asked: unknown[] = [];

  async start(): Promise<void> {
    await this.bus.start();
    const { uids } = await this.bus.hosts({
      'a/services.json': services(
        { type: 'dbus', owns: FOO, role: 'owner', allow: ['operator'] },
        { type: 'dbus', owns: OTHER, role: 'owner' },
      ),
      'c/run.json': requires({ name: 'system-bus', role: 'stranger' }),
    });
    this.uids = uids ?? new Map();
    this.client = await startContainer({ name: 'client' });
    this.daemon = new TestDaemon(['--bus', this.bus.places.socket]);
    await this.daemon.launch();
  }

  /** As at the beginning: nobody was asked, whoever is asked agrees and starts nothing. */
  reset(): void {
    this.asked = [];
    this.daemon.onActivate = async (body) => {
      this.asked.push(body);
      return 200;
    };
  }

  async stop(): Promise<void> {
    await this.daemon?.stop();
    await this.client?.kill();
    await this.bus.remove();
  }

  async establish(fields: Partial<WireLink>): Promise<void> {
    const link: Partial<WireLink> = {
      ...{ consumer: 'client', consumer_pid: this.client.pid, provider: '_pv_', provider_pid: 0 },
      ...{ name: 'system-bus', type: 'dbus', role: 'operator', uid: this.uids.get('operator') },
      ...{ target: TARGET, socket: this.bus.places.socket, activates: [FOO] },
      ...fields,
    };
    this.daemon.set(wireLink(link));
    await eventually(async () => {
      const [shown] = await this.daemon.shown();
      const { role, target, activates, policy } = link;
      expect(shown).toMatchObject({ state: 'established', role, target });
      expect([shown?.activates, shown?.policy]).toEqual([activates, policy]);
    });
  }

  /** The runtime starts the owner, as slowly as the test says. */
  starts(delayMs = 100): void {
    this.daemon.onActivate = async (body) => {
      this.asked.push(body);
      setTimeout(() => void this.serve(FOO), delayMs); // an owner that takes a while
      return 200;
    };
  }

  serve(name: string): Promise<unknown> {
    return this.bus.serve(this.uids.get('owner') as number, name);
  }

  connect(): dbus.MessageBus {
    return dbus.sessionBus({ busAddress: `unix:path=${this.client.rootDir}${TARGET}` });
  }
}

export function message(member: string, fields: object = {}): dbus.Message {
  return new dbus.Message({ destination: FOO, path: '/', interface: TEST, member, ...fields });
}

export function echo(text: string, fields: object = {}): dbus.Message {
  return message('Echo', { signature: 's', body: [text], ...fields });
}
