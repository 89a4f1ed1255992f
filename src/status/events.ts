/**
 * `GET /events`: server-sent events (WHATWG HTML, 9.2), one for each change of a link, to everyone who listens.
 *
 * `event: state` has the link's identity, state, last_error and since; `event: gone` its last status. A listener
 * sees every change from its connection on, or is dropped: a listener that reads too slowly must not use up memory, and
 * one that missed a change must not believe that it knows the graph.
 */
import type { ServerResponse } from 'node:http';
import { eventView } from './graph-view.js';
import { beginStream, NOT_STORED } from './listeners.js';
import type { LinkStatus, StatusStore } from './store.js';

export interface EventsOptions {
  readonly maxClients?: number;
  /** The most unread bytes of one listener: room for one change of 10,000 links at once. */
  readonly maxBacklog?: number;
  /** Interval of comment lines, which keep idle connections alive and detect ended ones. */
  readonly heartbeatMs?: number;
}

export class Events {
  readonly #clients = new Set<ServerResponse>();
  readonly #maxClients: number;
  readonly #maxBacklog: number;
  readonly #heartbeatMs: number;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(store: StatusStore, options: EventsOptions = {}) {
    this.#maxClients = options.maxClients ?? 16;
    this.#maxBacklog = options.maxBacklog ?? 4 * 1024 * 1024;
    this.#heartbeatMs = options.heartbeatMs ?? 15_000;
    store.on('change', (status, gone) => this.#tell(status, gone));
  }

  get isFull(): boolean {
    return this.#clients.size >= this.#maxClients;
  }

  /** Takes the response, whose head is not sent yet, until its client or `close` ends it. */
  add(response: ServerResponse): void {
    // The end of input is a half-close or the end of the client: only writing tells which.
    const onHalfClose = () => this.#clients.has(response) && response.write(':\n\n');
    beginStream(response, onHalfClose, NOT_STORED);
    response.write(': listening\n\n');
    this.#clients.add(response);
    this.#heartbeat ??= setInterval(() => this.#beat(), this.#heartbeatMs);
    response.on('close', () => this.#remove(response));
  }

  close(): void {
    for (const client of [...this.#clients]) {
      this.#remove(client);
      client.end();
    }
  }

  #tell(status: LinkStatus, gone: boolean): void {
    if (this.#clients.size === 0) return;
    const data = JSON.stringify(eventView(status));
    this.#send(Buffer.from(`event: ${gone ? 'gone' : 'state'}\ndata: ${data}\n\n`));
  }

  #beat(): void {
    this.#send(Buffer.from(':\n\n'));
  }

  /** The bytes are shared by all of them. */
  #send(bytes: Buffer): void {
    for (const client of [...this.#clients]) {
      if (client.writableLength + bytes.length <= this.#maxBacklog) client.write(bytes);
      else {
        this.#remove(client);
        client.destroy();
      }
    }
  }

  #remove(client: ServerResponse): void {
    this.#clients.delete(client);
    if (this.#clients.size > 0) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }
}
