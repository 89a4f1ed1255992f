/**
 * The contract of every plugin that plants a stream socket, run over each of them: the built-in ones and the
 * example from outside. Real containers, the real broker and relay.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import type { LinkError } from '../../../src/kernel/errors.js';
import type { AttachedLink, AttachedListener } from '../../../src/mesh/attacher.js';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { startContainer, type TestContainer } from '../../support/container.js';
import { startHost, type TestHost } from '../../support/host.js';
import { unixLink } from '../../support/link.js';
import { ask, dial, type EchoProvider, readAll, startEcho } from '../../support/peers.js';
import { eventually } from '../../support/wait.js';

interface Subject {
  readonly name: string;
  readonly module?: string;
  readonly link: Partial<Link>;
  /** What the provider reads before the consumer's bytes. */
  readonly greeting: string;
}

const ANNOUNCE = `${PACKAGE_ROOT}/examples/plugin/announce.js`;
const SUBJECTS: Subject[] = [
  { name: 'unix', link: {}, greeting: '' },
  { name: 'unix without descriptors', link: { fds: false }, greeting: '' },
  { name: 'unix with a role', link: { role: 'daemon' }, greeting: '' },
  // To what is no compositor it is the same.
  { name: 'wayland', link: { type: 'wayland' }, greeting: '' },
  {
    name: 'the example plugin',
    module: ANNOUNCE,
    link: { interface: 'announced' },
    greeting: 'consumer any\n',
  },
];

class Recorder implements AttachedListener {
  readonly states: [string, string | null][] = [];
  readonly lost: LinkError[] = [];

  onState(state: string, error: LinkError | null): void {
    this.states.push([state, error?.code ?? null]);
  }

  onLost(error: LinkError): void {
    this.lost.push(error);
  }
}

/** Whether it was all that one of the connections said; the plugin may have one of its own. */
function hasRead({ connections }: EchoProvider, text: string): boolean {
  return connections.some(({ bytesRead }) => bytesRead === text.length);
}

describe.each(SUBJECTS)('the plugin contract, $name:', ({ module, link: fields, greeting }) => {
  let host: TestHost;
  let consumer: TestContainer;
  let provider: TestContainer;
  let inside: { consumer: number; provider: number };
  let recorder: Recorder;
  const open: (AttachedLink | EchoProvider)[] = [];

  async function handleOf(container: TestContainer): Promise<number> {
    const held = await host.containers.retain(container.name, container.pid, 0);
    if (held instanceof Error) throw held;
    return held.handle;
  }

  beforeAll(async () => {
    host = await startHost({ patienceMs: 1_500 });
    if (module) await host.plugins.load(module);
    consumer = await startContainer({ name: 'consumer' });
    provider = await startContainer({ name: 'provider' });
    inside = { consumer: await handleOf(consumer), provider: await handleOf(provider) };
  });

  afterAll(async () => {
    await host?.stop();
    await consumer?.kill();
    await provider?.kill();
  });

  beforeEach(() => {
    recorder = new Recorder();
    return async () => {
      for (const thing of open.splice(0)) {
        await ('detach' in thing ? thing.detach(0).done : thing.close());
      }
    };
  });

  function link(more: Partial<Link> = {}): Link {
    return unixLink({
      consumerPid: consumer.pid,
      providerPid: provider.pid,
      ...fields,
      ...more,
    });
  }

  async function attach(wanted = link()): Promise<AttachedLink> {
    const attached = await host.attacher.attach(wanted, 0, recorder);
    open.push(attached);
    return attached;
  }

  async function echo(): Promise<EchoProvider> {
    const started = await startEcho(host.broker, inside.provider, link().socket);
    open.push(started);
    return started;
  }

  const connect = () => dial(host.broker, inside.consumer, link().target);
  const targetExists = async () => (await host.broker.probeUnix(inside.consumer, link().target)).ok;

  test('bytes go to the provider and back, with both ends of the stream', async () => {
    await echo();
    await attach();
    expect(await ask(await connect(), 'hello')).toBe(`${greeting}hello`);
  });

  test('the state follows the provider: waiting until it listens, then established', async () => {
    await attach();
    await eventually(() =>
      expect(recorder.states.at(-1)).toEqual(['waiting', 'provider-socket-missing']),
    );
    await echo();
    await eventually(() => expect(recorder.states.at(-1)).toEqual(['established', null]));
  });

  test('a connection waits for its provider', async () => {
    await attach();
    const answer = ask(await connect(), 'early');
    await new Promise((resolve) => setTimeout(resolve, 200));
    await echo();
    expect(await answer).toBe(`${greeting}early`);
  });

  test('a connection whose provider does not come is closed', async () => {
    await attach();
    const socket = await connect();
    expect((await readAll(socket)).length).toBe(0);
  });

  test('a link that leaves takes its socket with it and lets a connection finish', async () => {
    const peer = await echo();
    const attached = await attach();
    const socket = await connect();
    socket.write('one');
    await eventually(() => expect(hasRead(peer, `${greeting}one`)).toBe(true));
    const { removed, done } = attached.detach(5_000);
    await removed;
    expect(await targetExists()).toBe(false);
    expect(await ask(socket, 'two')).toBe(`${greeting}onetwo`);
    await done;
  });

  test('a connection that does not finish in the drain time is closed', async () => {
    const peer = await echo();
    const attached = await attach();
    const socket = await connect();
    const all = readAll(socket);
    socket.write('one');
    await eventually(() => expect(hasRead(peer, `${greeting}one`)).toBe(true));
    await attached.detach(100).done;
    expect((await all).toString()).toBe(`${greeting}one`);
  });

  test('leaving twice is leaving once', async () => {
    const attached = await attach();
    await Promise.all([attached.detach(0).done, attached.detach(0).done]);
    expect(await targetExists()).toBe(false);
  });

  test('a new provider gets the new connections, without a new listener', async () => {
    const attached = await attach();
    const other = await startContainer({ name: 'provider' });
    try {
      open.push(await startEcho(host.broker, await handleOf(other), link().socket));
      await attached.retarget(link({ providerPid: other.pid }), 0);
      expect(await ask(await connect(), 'hello')).toBe(`${greeting}hello`);
    } finally {
      await other.kill();
    }
  });

  test('a connection that waits while its provider restarts goes to the new one', async () => {
    const old = await startContainer({ name: 'provider' });
    const attached = await attach(link({ providerPid: old.pid }));
    const answer = ask(await connect(), 'patient');
    await new Promise((resolve) => setTimeout(resolve, 100));
    await old.kill();
    await echo();
    await attached.retarget(link(), 0);
    expect(await answer).toBe(`${greeting}patient`);
  });

  test('a link whose provider does not run is attached, and waits', async () => {
    const attached = await attach(link({ providerPid: 0 }));
    await eventually(() =>
      expect(recorder.states.at(-1)).toEqual(['waiting', 'provider-not-running']),
    );
    const answer = ask(await connect(), 'early');
    await echo();
    await attached.retarget(link(), 0);
    expect(await answer).toBe(`${greeting}early`);
  });

  test('what can not be attached is an error with a code, and leaves nothing', async () => {
    await consumer.exec(['mkdir', '-p', link().target]);
    await expect(attach()).rejects.toMatchObject({ code: 'target-occupied' });
    const { stdout } = await consumer.exec(['ls', '-A', '/run/pv/services']);
    expect(stdout.trim()).toBe('raw.sock');
    await consumer.exec(['rmdir', link().target]);
  });

  test('bytes and connections are counted', async () => {
    await echo();
    const attached = await attach();
    await ask(await connect(), 'hello');
    await eventually(() => {
      const { total, active, toConsumer } = attached.stats();
      expect({ total, active, toConsumer }).toEqual({
        total: 1,
        active: 0,
        toConsumer: greeting.length + 5,
      });
    });
  });

  test('a link that left hears no more of its consumer', async () => {
    const other = await startContainer({ name: 'consumer' });
    await handleOf(other); // held by somebody else too
    const attached = await attach(link({ consumerPid: other.pid }));
    await attached.detach(0).done;
    await other.kill();
    await eventually(() => expect(host.containers.generation(other.pid)).toBe(0));
    expect(recorder.lost).toEqual([]);
  });

  test('a consumer that ends says that its link is lost', async () => {
    const other = await startContainer({ name: 'consumer' });
    await attach(link({ consumerPid: other.pid }));
    await other.kill();
    await eventually(() => expect(recorder.lost[0]?.code).toBe('container-gone'));
  });
});
