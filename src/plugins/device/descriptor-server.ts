/**
 * Hands out an opened device on a socket: each client is sent one byte with one descriptor, and may use the device as
 * long as it keeps the connection. When the connection ends, the descriptor is revoked as far as the kernel can do
 * that, so a client that dies leaves no device open.
 */
import type { LinkError } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { Result } from '../../kernel/result.js';
import type { Channel } from '../plugin.js';
import type { OpenedDevice } from './device.js';

/** Clients of one link; each has the device open. */
const MAX_CLIENTS = 64;
const BYTE = Buffer.from('d');

/** Opens the device for one client. `end`: ends that client, and resolves when its descriptor is revoked. */
export type OpenForClient = (end: () => Promise<void>) => Promise<Result<OpenedDevice>>;

export class DescriptorServer {
  /** Called when the device was opened for a client (null), or could not be. */
  onOutcome: ((error: LinkError | null) => void) | null = null;
  readonly #open: OpenForClient;
  readonly #log: Logger;
  /** Each with its device; null: it is being opened. */
  readonly #clients = new Map<Channel, OpenedDevice | null>();
  #closed = false;

  constructor(open: OpenForClient, log: Logger) {
    this.#open = open;
    this.#log = log;
  }

  /** Some client has the device. */
  get isServing(): boolean {
    return [...this.#clients.values()].some((opened) => opened !== null);
  }

  /** Takes the client. */
  async serve(client: Channel): Promise<void> {
    if (this.#closed || this.#clients.size >= MAX_CLIENTS) {
      if (!this.#closed)
        this.#log.warn(`${MAX_CLIENTS} clients have the device: one more was refused`);
      client.close();
      return;
    }
    this.#clients.set(client, null);
    const end = () => this.#end(client);
    client.onEnd = () => void end();
    client.resume();
    const opened = await this.#open(end);
    if (!opened.ok) {
      const { error } = opened;
      this.#log.warn({ code: error.code }, error.message);
      await end();
      this.onOutcome?.(error);
      return;
    }
    this.onOutcome?.(null);
    const device = opened.value;
    const isThere = this.#clients.has(client);
    if (isThere) this.#clients.set(client, device);
    client.write(BYTE, [device.fd]); // closes it where the client has left
    if (!isThere) await device.revoke();
  }

  async endAll(): Promise<void> {
    await Promise.all([...this.#clients.keys()].map((client) => this.#end(client)));
  }

  /** Ends all clients, and refuses new ones. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.endAll();
  }

  /** Revokes the client's descriptor, and tells it so by the end of its connection. */
  async #end(client: Channel): Promise<void> {
    const opened = this.#clients.get(client);
    if (!this.#clients.delete(client)) return;
    await opened?.revoke();
    client.close();
  }
}
