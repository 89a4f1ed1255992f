/**
 * The compositor of one link: whether it was told who comes, and on which of its sockets they are to come.
 *
 * One connection of our own to it stays open. Its end is the end of that compositor: another one, in the same
 * container or the next, is asked anew. What is no compositor is not listened to, and asked again at every look.
 */
import { createHash } from 'node:crypto';
import { type Link, linkId } from '../../graph/link.js';
import type { ErrorCode, LinkError } from '../../kernel/errors.js';
import type { LinkHost, ProviderListener, Seen } from '../plugin.js';
import { type Failure, WaylandClient } from './client.js';

const ENGINE = 'io.pantavisor.pv-xconnect';
/** Bytes of a string: libwayland takes messages of up to 4 KiB. */
const MAX_ID = 1024;

/** Those that pass by themselves, when the compositor has started. */
const WAITS = new Set<ErrorCode>([
  'provider-not-running',
  'provider-socket-missing',
  'provider-refused',
  'timed-out',
]);

interface Session {
  readonly client: WaylandClient;
  /** Absent: the compositor does not want to be told, or is none. */
  readonly listener?: ProviderListener;
  /** Nothing says when it ends. */
  readonly foreign?: boolean;
}

export class Compositor {
  readonly #link: Link;
  readonly #host: LinkHost;
  #session: Session | null = null;
  #attempt: Promise<Session | LinkError> | null = null;
  #closed = false;

  constructor(link: Link, host: LinkHost) {
    this.#link = link;
    this.#host = host;
  }

  /** Asks it, if that was not done yet. */
  async look(): Promise<Seen> {
    if (this.#session?.foreign) this.#session = null;
    const session = await this.#known(false);
    return 'code' in session ? { error: session, waits: WAITS.has(session.code) } : { error: null };
  }

  /** Where a client is to come to, inside the provider. Waits for the compositor as configured. */
  async socket(): Promise<string | LinkError> {
    if (this.#attempt) await this.#attempt; // which may not have waited
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

  async #known(wait: boolean): Promise<Session | LinkError> {
    if (this.#session) return this.#session;
    this.#attempt ??= this.#ask(wait).finally(() => {
      this.#attempt = null;
    });
    return this.#attempt;
  }

  async #ask(wait: boolean): Promise<Session | LinkError> {
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

  async #introduce(client: WaylandClient): Promise<Session | LinkError> {
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

  #failed({ what, why }: Failure): LinkError {
    const { socket, provider } = this.#link;
    const code = what === 'silent' ? 'timed-out' : 'provider-refused';
    return { code, message: `The compositor at ${socket} in ${provider}: ${why}.` };
  }

  async #ended(session: Session): Promise<void> {
    if (this.#session !== session) return;
    this.#session = null;
    await session.listener?.remove();
  }
}

function bounded(text: string): string {
  if (Buffer.byteLength(text) <= MAX_ID) return text;
  return createHash('sha256').update(text).digest('hex');
}
