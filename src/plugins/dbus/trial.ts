/**
 * A login by the daemon itself, to find out whether the bus lets a link's identity in. It goes as far as the answer to
 * Hello, since some buses accept an identity and close the connection afterwards.
 */
import { type Link, RUNTIME_PROVIDER } from '../../graph/link.js';
import { withDeadline } from '../../kernel/deadline.js';
import { closeAll } from '../../kernel/descriptors.js';
import { failed, ok, type Result } from '../../kernel/result.js';
import type { Channel, LinkHost } from '../plugin.js';
import type { LinkSlots } from './connections.js';
import { MessageType, readFrame, readHeader } from './header.js';
import { busCall } from './message-writer.js';
import { SaslClient } from './sasl-client.js';

const PATIENCE_MS = 5_000;
const HELLO = busCall(1, 'Hello', []);

/** What the bus lets in. */
export interface LoggedIn {
  readonly uid: number;
  /** The name that it gave; undefined: its answer can't be read. */
  readonly name: string | undefined;
}

type Outcome = { readonly name: string | undefined } | 'refused' | 'silent';

/** Whether the bus lets the identity in. Never rejects. */
export async function tryLogin(
  link: Link,
  host: LinkHost,
  slots: LinkSlots,
): Promise<Result<LoggedIn>> {
  const release = await slots.acquire();
  const made = await host.connectAs({ wait: false });
  if (!made.ok) {
    release();
    return made;
  }
  const { channel, identity } = made.value;
  const { uid } = identity;
  const outcome = await login(channel, uid);
  channel.close();
  release();
  if (typeof outcome === 'object') return ok({ uid, name: outcome.name });
  const { provider, role, socket } = link;
  const bus = provider === RUNTIME_PROVIDER ? `The bus at ${socket}` : `The bus of ${provider}`;
  if (outcome === 'silent') {
    const message = `${bus} did not answer a login within ${PATIENCE_MS / 1000} s.`;
    return failed({ code: 'timed-out', message });
  }
  const message = `${bus} lets nobody in as uid ${uid}, which is the role ${JSON.stringify(role)}.`;
  return failed({ code: 'bus-refused', message });
}

function login(channel: Channel, uid: number): Promise<Outcome> {
  const machine = new SaslClient();
  let isAccepted = false;
  const answered = new Promise<Outcome>((settle) => {
    channel.onData = channel.onTruncated = (bytes, fds) => {
      closeAll(fds);
      const event = isAccepted ? null : machine.feed(bytes);
      if (isAccepted) settle({ name: nameIn(bytes) });
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

/** The name that the answer to Hello is for, where all of its header is in the first bytes that came. */
function nameIn(bytes: Buffer): string | undefined {
  const frame = readFrame(bytes, 0);
  if (typeof frame === 'string' || bytes.length < frame.header) return undefined;
  const header = readHeader(bytes, 0, frame);
  return typeof header === 'object' && header.type === MessageType.reply
    ? header.destination
    : undefined;
}
