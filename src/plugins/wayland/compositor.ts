/**
 * The compositor of one link: whether it was told who the link's clients are, and to which of its sockets they are joined.
 *
 * One connection of our own to the compositor stays open (the session). When it ends, the compositor has ended: its
 * successor, in the same container or in the next one, is asked anew. A program that does not speak Wayland gets no such
 * connection, and is asked again at every look.
 */
import { createHash } from 'node:crypto';
import { type Link, linkId } from '../../graph/link.js';
import type { ErrorCode, LinkError } from '../../kernel/errors.js';
import type { LinkHost, ProviderListener, Seen } from '../plugin.js';
import { WaylandClient, type WaylandFailure } from './client.js';

const ENGINE = 'io.pantavisor.pv-xconnect';
/** Bytes of a string that is sent: libwayland takes messages of up to 4 KiB. */
const MAX_ID = 1024;

/** Errors that may pass by themselves, when the compositor has started. */
const WAITS = new Set<ErrorCode>([
  'provider-not-running',
  'provider-socket-missing',
  'provider-refused',
  'timed-out',
]);

interface CompositorSession {
  readonly client: WaylandClient;
  /** Absent: the compositor does not support security contexts, or is none. */
  readonly listener?: ProviderListener;
  /** It does not speak Wayland, so there is no connection whose end would tell of its end. */
  readonly foreign?: boolean;
}

export class Compositor {
  readonly #link: Link;
  readonly #host: LinkHost;
  #session: CompositorSession | null = null;
  #attempt: Promise<CompositorSession | LinkError> | null = null;
  #closed = false;

  constructor(link: Link, host: LinkHost) {
    this.#link = link;
    this.#host = host;
  }

  /** For `watch`: asks the compositor, unless there is a session. */
  async look(): Promise<Seen> {
    if (this.#session?.foreign) this.#session = null;
    const session = await this.#known(false);
    return 'code' in session ? { error: session, waits: WAITS.has(session.code) } : { error: null };
  }

  /** The path of the socket for a client, inside the provider. Waits for the compositor as configured. */
  async socket(): Promise<string | LinkError> {
    if (this.#attempt) await this.#attempt; // it may be one that does not wait
    const session = await this.#known(true);
    return 'code' in session ? session : (session.listener?.path ?? this.#link.socket);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const session = this.#session;
    this.#session = null;
    session?.client.close();
    await session?.listener?.remove();
  }

  async #known(wait: boolean): Promise<CompositorSession | LinkError> {
    if (this.#session) return this.#session;
    this.#attempt ??= this.#ask(wait).finally(() => {
      this.#attempt = null;
    });
    return this.#attempt;
  }

  async #ask(wait: boolean): Promise<CompositorSession | LinkError> {
    const channel = await this.#host.connect({ wait });
    if ('code' in channel) return channel;
    const client = new WaylandClient(channel);
    const session = await this.#introduce(client);
    if ('code' in session) {
      client.close();
      return session;
    }
    this.#session = session;
    client.onEnd = () => void this.#ended(session);
    this.#host.show({ security_context: session.listener !== undefined });
    if (this.#closed) await this.close();
    return session;
  }

  async #introduce(client: WaylandClient): Promise<CompositorSession | LinkError> {
    const knows = await client.knowsContexts();
    if (typeof knows === 'object' && knows.what !== 'foreign') return this.#failed(knows);
    if (knows !== true) return { client, foreign: knows !== false };
    const listener = await this.#host.listenAtProvider(() => client.close());
    if ('code' in listener) return listener;
    const failure = await client.introduce({
      engine: ENGINE,
      appId: bounded(this.#link.consumer),
      instanceId: bounded(linkId(this.#link)),
      listener: listener.fd,
      hangup: listener.hangup,
    });
    if (!failure) return { client, listener };
    await listener.remove();
    return this.#failed(failure);
  }

  #failed({ what, why }: WaylandFailure): LinkError {
    const { socket, provider } = this.#link;
    const code = what === 'silent' ? 'timed-out' : 'provider-refused';
    return { code, message: `The compositor at ${socket} in ${provider}: ${why}.` };
  }

  async #ended(session: CompositorSession): Promise<void> {
    if (this.#session !== session) return;
    this.#session = null;
    await session.listener?.remove();
  }
}

function bounded(text: string): string {
  if (Buffer.byteLength(text) <= MAX_ID) return text;
  return createHash('sha256').update(text).digest('hex');
}
