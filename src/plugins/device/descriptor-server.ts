/**
 * Opened devices handed out on a socket: each client is sent one byte with one descriptor, and has the device for
 * as long as it keeps the connection. The end of either takes back what can be taken back, so a client that dies
 * leaves nothing open.
 */
import type { LinkError } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { Channel } from '../plugin.js';
import type { OpenedDevice } from './device.js';

/** Of one link: each has a device open. */
const MAX_CLIENTS = 64;
const BYTE = Buffer.from('d');

/** Opens the device for one client; `end` ends that client. */
export type OpenForClient = (end: () => Promise<void>) => Promise<OpenedDevice | LinkError>;

export class DescriptorServer {
  /** How opening it for one client went: what is wrong, or null. */
  onOutcome: ((error: LinkError | null) => void) | null = null;
  readonly #open: OpenForClient;
  readonly #log: Logger;
  /** With what they have; null: it is being opened. */
  readonly #clients = new Map<Channel, OpenedDevice | null>();
  #closed = false;

  constructor(open: OpenForClient, log: Logger) {
    this.#open = open;
    this.#log = log;
  }

  /** Some client has it. */
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
    if ('code' in opened) {
      this.#log.warn({ code: opened.code }, opened.message);
      await end();
      this.onOutcome?.(opened);
      return;
    }
    this.onOutcome?.(null);
    const isThere = this.#clients.has(client);
    if (isThere) this.#clients.set(client, opened);
    client.write(BYTE, [opened.fd]); // closes it where the client has left
    if (!isThere) await opened.revoke();
  }

  async endAll(): Promise<void> {
    await Promise.all([...this.#clients.keys()].map((client) => this.#end(client)));
  }

  /** Ends all, and refuses whoever still comes. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.endAll();
  }

  /** The end of its connection tells a client that what it had is taken back. */
  async #end(client: Channel): Promise<void> {
    const opened = this.#clients.get(client);
    if (!this.#clients.delete(client)) return;
    await opened?.revoke();
    client.close();
  }
}
