/**
 * The contract of every plugin that plants a stream socket, run over each of them: the built-in ones and the
 * example from outside. Real containers, the real broker and relay.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Link } from '../../../src/graph/link.js';
import { PACKAGE_ROOT } from '../../../src/relay/native.js';
import { startContainer } from '../../support/container.js';
import { ask, dial, type EchoProvider, readAll, startEcho } from '../../support/peers.js';
import { eventually } from '../../support/wait.js';
import { usePluginStand } from './support.js';

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
  {
    name: 'the example plugin with its option',
    module: ANNOUNCE,
    link: { interface: 'announced', extra: { announce: 'role' } },
    greeting: 'any\n',
  },
];

/** Whether it was all that one of the connections said; the plugin may have one of its own. */
function hasRead({ connections }: EchoProvider, text: string): boolean {
  return connections.some(({ bytesRead }) => bytesRead === text.length);
}

describe.each(SUBJECTS)('the plugin contract, $name:', ({ module, link: fields, greeting }) => {
  const at = usePluginStand({ patienceMs: 1_500, link: fields });
  let inside: { consumer: number; provider: number };

  beforeAll(async () => {
    if (module) await at.host.plugins.load(module);
    inside = { consumer: await at.handleOf(at.consumer), provider: await at.handleOf(at.provider) };
  });

  async function echo(): Promise<EchoProvider> {
    return at.closing(await startEcho(at.host.broker, inside.provider, at.link().socket));
  }

  const connect = () => dial(at.host.broker, inside.consumer, at.link().target);
  const targetExists = async () =>
    (await at.host.broker.probeUnix(inside.consumer, at.link().target)).ok;

  test('bytes go to the provider and back, with both ends of the stream', async () => {
    await echo();
    await at.attach();
    expect(await ask(await connect(), 'hello')).toBe(`${greeting}hello`);
  });

  test('the state follows the provider: waiting until it listens, then established', async () => {
    await at.attach();
    await at.untilState('waiting', 'provider-socket-missing');
    await echo();
    await at.untilState('established');
  });

  test('a connection waits for its provider', async () => {
    const attached = await at.attach();
    const answer = ask(await connect(), 'early');
    await eventually(() => expect(attached.stats().active).toBe(1));
    await echo();
    expect(await answer).toBe(`${greeting}early`);
  });

  test('a connection whose provider does not come is closed', async () => {
    await at.attach();
    const socket = await connect();
    expect((await readAll(socket)).length).toBe(0);
  });

  test('a link that leaves takes its socket with it and lets a connection finish', async () => {
    const peer = await echo();
    const attached = await at.attach();
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
    const attached = await at.attach();
    const socket = await connect();
    const all = readAll(socket);
    socket.write('one');
    await eventually(() => expect(hasRead(peer, `${greeting}one`)).toBe(true));
    await attached.detach(100).done;
    expect((await all).toString()).toBe(`${greeting}one`);
  });

  test('leaving twice is leaving once', async () => {
    const attached = await at.attach();
    await Promise.all([attached.detach(0).done, attached.detach(0).done]);
    expect(await targetExists()).toBe(false);
  });

  test('a new provider gets the new connections, without a new listener', async () => {
    const attached = await at.attach();
    const other = await startContainer({ name: 'provider' });
    try {
      at.closing(await startEcho(at.host.broker, await at.handleOf(other), at.link().socket));
      await attached.retarget(at.link({ providerPid: other.pid }), 0);
      expect(await ask(await connect(), 'hello')).toBe(`${greeting}hello`);
    } finally {
      await other.kill();
    }
  });

  test('a connection that waits while its provider restarts goes to the new one', async () => {
    const old = await startContainer({ name: 'provider' });
    const attached = await at.attach(at.link({ providerPid: old.pid }));
    const answer = ask(await connect(), 'patient');
    await eventually(() => expect(attached.stats().active).toBe(1));
    await old.kill();
    await echo();
    await attached.retarget(at.link(), 0);
    expect(await answer).toBe(`${greeting}patient`);
  });

  test('a link whose provider does not run is attached, and waits', async () => {
    const attached = await at.attach(at.link({ providerPid: 0 }));
    await at.untilState('waiting', 'provider-not-running');
    const answer = ask(await connect(), 'early');
    await echo();
    await attached.retarget(at.link(), 0);
    expect(await answer).toBe(`${greeting}early`);
  });

  test('what can not be attached is an error with a code, and leaves nothing', async () => {
    await at.consumer.exec(['mkdir', '-p', at.link().target]);
    await expect(at.attach()).rejects.toMatchObject({ code: 'target-occupied' });
    const { stdout } = await at.consumer.exec(['ls', '-A', '/run/pv/services']);
    expect(stdout.trim()).toBe('raw.sock');
    await at.consumer.exec(['rmdir', at.link().target]);
  });

  test('bytes and connections are counted', async () => {
    await echo();
    const attached = await at.attach();
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
    await at.handleOf(other); // held by somebody else too
    const attached = await at.attach(at.link({ consumerPid: other.pid }));
    await attached.detach(0).done;
    await other.kill();
    await eventually(() => expect(at.host.containers.generation(other.pid)).toBe(0));
    expect(at.recorder.lost).toEqual([]);
  });

  test('a consumer that ends says that its link is lost', async () => {
    const other = await startContainer({ name: 'consumer' });
    await at.attach(at.link({ consumerPid: other.pid }));
    await other.kill();
    await eventually(() => expect(at.recorder.lost[0]?.code).toBe('container-gone'));
  });
});
