/**
 * A login by the daemon itself, to find out whether the bus lets a link's identity in. It goes as far as the answer to
 * Hello, since some buses accept an identity and close the connection afterwards.
 */
import { type Link, RUNTIME_PROVIDER } from '../../graph/link.js';
import { withDeadline } from '../../kernel/deadline.js';
import { closeAll } from '../../kernel/descriptors.js';
import type { LinkError } from '../../kernel/errors.js';
import type { Channel, LinkHost } from '../plugin.js';
import type { LinkSlots } from './connections.js';
import { busCall } from './message-writer.js';
import { SaslClient } from './sasl-client.js';

const PATIENCE_MS = 5_000;
const HELLO = busCall(1, 'Hello', []);

/** Null: the bus lets the identity in. Never rejects. */
export async function tryLogin(
  link: Link,
  host: LinkHost,
  slots: LinkSlots,
): Promise<LinkError | null> {
  const release = await slots.acquire();
  const made = await host.connectAs({ wait: false });
  if (!made.ok) {
    release();
    return made.error;
  }
  const { channel, identity } = made.value;
  const outcome = await login(channel, identity.uid);
  channel.close();
  release();
  if (outcome === 'in') return null;
  const { provider, role, socket } = link;
  const bus = provider === RUNTIME_PROVIDER ? `The bus at ${socket}` : `The bus of ${provider}`;
  if (outcome === 'silent') {
    const message = `${bus} did not answer a login within ${PATIENCE_MS / 1000} s.`;
    return { code: 'timed-out', message };
  }
  const message = `${bus} lets nobody in as uid ${identity.uid}, which is the role ${JSON.stringify(role)}.`;
  return { code: 'bus-refused', message };
}

function login(channel: Channel, uid: number): Promise<'in' | 'refused' | 'silent'> {
  const machine = new SaslClient();
  let isAccepted = false;
  const answered = new Promise<'in' | 'refused'>((settle) => {
    channel.onData = channel.onTruncated = (bytes, fds) => {
      closeAll(fds);
      const event = isAccepted ? null : machine.feed(bytes);
      if (isAccepted) settle('in');
      else if (event?.is === 'accepted') {
        isAccepted = true;
        channel.write(machine.begin());
        channel.write(HELLO);
      } else if (event) settle('refused');
    };
    channel.onEnd = channel.onClosed = () => settle('refused');
    channel.write(machine.authenticate(uid));
    channel.resume();
  });
  return withDeadline(answered, PATIENCE_MS, 'silent' as const);
}
