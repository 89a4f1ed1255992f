/**
 * The compositor of one link: whether it was told who the link's clients are, and to which of its sockets they are
 * joined.
 *
 * One connection of our own to the compositor stays open (the session). When it ends, the compositor has ended: its
 * successor, in the same container or in the next one, is asked anew. A program that does not speak Wayland gets no
 * such connection, and is asked again at every look.
 */
import { createHash } from 'node:crypto';
import { type Link, linkId } from '../../graph/link.js';
import type { ErrorCode, LinkError } from '../../kernel/errors.js';
import { failed, ok, type Result } from '../../kernel/result.js';
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
  #attempt: Promise<Result<CompositorSession>> | null = null;
  #closed = false;

  constructor(link: Link, host: LinkHost) {
    this.#link = link;
    this.#host = host;
  }

  /** For `watch`: asks the compositor, unless there is a session. */
  async look(): Promise<Seen> {
    if (this.#session?.foreign) this.#session = null;
    const session = await this.#known(false);
    if (session.ok) return { error: null };
    return { ...session, waits: WAITS.has(session.error.code) };
  }

  /** The path of the socket for a client, inside the provider. Waits for the compositor as configured. */
  async socket(): Promise<Result<string>> {
    if (this.#attempt) await this.#attempt; // it may be one that does not wait
    const session = await this.#known(true);
    return session.ok ? ok(session.value.listener?.path ?? this.#link.socket) : session;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const session = this.#session;
    this.#session = null;
    session?.client.close();
    await session?.listener?.remove();
  }

  async #known(wait: boolean): Promise<Result<CompositorSession>> {
    if (this.#session) return ok(this.#session);
    this.#attempt ??= this.#ask(wait).finally(() => {
      this.#attempt = null;
    });
    return this.#attempt;
  }

  async #ask(wait: boolean): Promise<Result<CompositorSession>> {
    const channel = await this.#host.connect({ wait });
    if (!channel.ok) return channel;
    const client = new WaylandClient(channel.value);
    const introduced = await this.#introduce(client);
    if (!introduced.ok) {
      client.close();
      return introduced;
    }
    const session = introduced.value;
    this.#session = session;
    client.onEnd = () => void this.#ended(session);
    this.#host.show({ security_context: session.listener !== undefined });
    if (this.#closed) await this.close();
    return introduced;
  }

  async #introduce(client: WaylandClient): Promise<Result<CompositorSession>> {
    const knows = await client.knowsContexts();
    if (!knows.ok && knows.failure.what !== 'foreign') return failed(this.#errorOf(knows.failure));
    if (!knows.ok || !knows.value) return ok({ client, foreign: !knows.ok });
    const listening = await this.#host.listenAtProvider(() => client.close());
    if (!listening.ok) return listening;
    const listener = listening.value;
    const failure = await client.introduce({
      engine: ENGINE,
      appId: bounded(this.#link.consumer),
      instanceId: bounded(linkId(this.#link)),
      listener: listener.fd,
      hangup: listener.hangup,
    });
    if (!failure) return ok({ client, listener });
    await listener.remove();
    return failed(this.#errorOf(failure));
  }

  #errorOf({ what, why }: WaylandFailure): LinkError {
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
