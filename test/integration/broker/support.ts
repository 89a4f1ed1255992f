/** A broker of the test's own, and one container that it holds. */
import { closeSync } from 'node:fs';
import { afterAll, beforeAll } from 'vitest';
import { startBroker, type TestBroker } from '../../support/broker.js';
import { startContainer, type TestContainer } from '../../support/container.js';

export const failure = (errno: string) => ({ ok: false, errno });

export class BrokerFixture {
  host!: TestBroker;
  container!: TestContainer;
  handle = 0;

  async hold(pid: number, stamp = 0): Promise<number> {
    const held = await this.host.broker.hold(pid, stamp);
    if (!held.ok) throw new Error(held.errno);
    closeSync(held.value.pidfd);
    return held.value.handle;
  }

  async plant(path: string, on = this.handle): Promise<{ fd: number; plant: number }> {
    const planted = await this.host.broker.listenUnix(on, 'stream', path);
    if (!planted.ok) throw new Error(planted.errno);
    return planted.value;
  }

  /** Output of a shell script inside the container. */
  async sh(script: string): Promise<string> {
    return (await this.container.exec(['sh', '-c', script])).stdout.trim();
  }
}

/** Call it within `describe`: there before the first test, gone after the last. */
export function useBroker(): BrokerFixture {
  const fixture = new BrokerFixture();
  beforeAll(async () => {
    fixture.host = await startBroker();
    fixture.container = await startContainer({ name: 'held' });
    fixture.handle = await fixture.hold(fixture.container.pid);
  });
  afterAll(async () => {
    await fixture.host?.stop();
    await fixture.container?.kill();
  });
  return fixture;
}
