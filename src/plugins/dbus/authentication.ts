/**
 * The authentication of one connection, as two separate conversations: with the consumer as its server, and with the
 * bus as its client. No line of one is passed to the other.
 *
 * The connection to the bus is made when the consumer authenticates for the first time, and the bus is asked each
 * question once. If the consumer asks again (another AUTH, CANCEL), it gets the answer that is known. No byte behind
 * the consumer's BEGIN is read, and the bus sends nothing before it gets ours: both channels can be used by others
 * after it.
 */
import { closeAll } from '../../kernel/descriptors.js';
import { ok, type Result } from '../../kernel/result.js';
import type { Channel, Connection } from '../plugin.js';
import { type ClientEvent, SaslClient } from './sasl-client.js';
import { SaslServer } from './sasl-server.js';

/** Messages follow on both channels, which are the caller's. */
export interface Authenticated {
  readonly bus: Channel;
  /** Both sides agreed to send descriptors. */
  readonly fds: boolean;
}

type Connect = () => Promise<Result<Connection>>;

export class Authentication {
  readonly #client: Channel;
  readonly #connect: Connect;
  readonly #onRejected: () => void;
  readonly #server = new SaslServer();
  readonly #machine = new SaslClient();
  #bus: Channel | null = null;
  /** The bus's answer to AUTH; null: not asked yet. */
  #identified: ClientEvent | null = null;
  /** Whether the bus takes descriptors; null: not asked yet. */
  #fds: boolean | null = null;
  #aborted: string | null = null;
  #stopWaiting: () => void = () => {};

  /** `connect`: to the bus, as the link's role. `onRejected`: called when the bus rejects that identity. */
  constructor(client: Channel, connect: Connect, onRejected = () => {}) {
    this.#onRejected = onRejected;
    this.#client = client;
    this.#connect = connect;
  }

  /** Both channels are closed where it fails. `reason`: one sentence. Never rejects. */
  async run(): Promise<Result<Authenticated, { readonly reason: string }>> {
    const failed = await this.#converse();
    const reason = this.#aborted ?? failed;
    if (reason === null && this.#bus) return ok({ bus: this.#bus, fds: this.#fds ?? false });
    this.#client.close();
    this.#bus?.close();
    return { ok: false, reason: reason ?? 'There is no bus.' };
  }

  /** Ends `run` with that reason, whatever it waits for. */
  abort(reason: string): void {
    this.#aborted = reason;
    this.#stopWaiting();
  }

  /** Null: messages follow. Else why it failed. */
  async #converse(): Promise<string | null> {
    while (this.#aborted === null) {
      const step = this.#server.next();
      if (step.do === 'end') return step.reason;
      if (step.do === 'begin') {
        this.#bus?.write(this.#machine.begin());
        return null;
      }
      if (step.do === 'send') this.#client.write(step.bytes);
      if (step.do === 'read') {
        const bytes = await this.#read(this.#client, step.atMost);
        if (!bytes) return 'The consumer left.';
        this.#server.feed(bytes);
      }
      if (step.do === 'authenticate') {
        const failed = await this.#authenticate();
        if (failed !== null) return failed;
      }
      if (step.do === 'negotiate') {
        const failed = await this.#negotiate();
        if (failed !== null) return failed;
      }
    }
    return this.#aborted;
  }

  async #authenticate(): Promise<string | null> {
    if (!this.#identified) {
      const made = await this.#connect();
      if (!made.ok) return made.error.message;
      const { channel, identity } = made.value;
      this.#bus = channel;
      this.#identified = await this.#ask(this.#machine.authenticate(identity.uid));
    }
    const event = this.#identified;
    if (event.is === 'failed') return event.reason;
    const accepted = event.is === 'accepted';
    if (!accepted) this.#onRejected();
    this.#client.write(accepted ? this.#server.accept(event.guid) : this.#server.reject());
    return null;
  }

  async #negotiate(): Promise<string | null> {
    if (this.#fds === null) {
      const event = await this.#ask(this.#machine.negotiate());
      if (event.is === 'failed') return event.reason;
      this.#fds = event.is === 'negotiated' && event.fds;
    }
    this.#client.write(this.#server.agree(this.#fds));
    return null;
  }

  async #ask(question: Buffer): Promise<ClientEvent> {
    const bus = this.#bus as Channel;
    bus.write(question);
    for (;;) {
      const bytes = await this.#read(bus, 0);
      if (!bytes) return { is: 'failed', reason: 'The bus left.' };
      const event = this.#machine.feed(bytes);
      if (event) return event;
    }
  }

  /**
   * The next bytes, at most `limit` (0: any number); null at the end, or where the link's end has closed the channel.
   * Descriptors are closed: none is allowed yet.
   */
  #read(channel: Channel, limit: number): Promise<Buffer | null> {
    if (this.#aborted !== null || channel.fd < 0) return Promise.resolve(null);
    return new Promise((resolve) => {
      const settle = (bytes: Buffer | null) => {
        channel.pause();
        channel.onData = channel.onTruncated = channel.onEnd = channel.onClosed = null;
        this.#stopWaiting = () => {};
        resolve(bytes);
      };
      channel.onData = channel.onTruncated = (bytes, fds) => {
        closeAll(fds);
        settle(bytes);
      };
      channel.onEnd = channel.onClosed = () => settle(null);
      this.#stopWaiting = () => settle(null);
      channel.resume(limit);
    });
  }
}
