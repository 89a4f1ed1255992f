/** Who listens to a stream of server-sent events that begins when they ask: how many there may be, and their end. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** The head of such a stream; and of one that a cache is told to keep nothing of. */
export const EVENT_STREAM = { 'Content-Type': 'text/event-stream; charset=utf-8' };
export const NOT_STORED = { ...EVENT_STREAM, 'Cache-Control': 'no-store' };

/** A stream that goes on in silence. `onHalfClose`: its reader has closed the half that writes, or has ended. */
export function beginStream(
  response: ServerResponse,
  onHalfClose: () => void,
  head: OutgoingHttpHeaders = EVENT_STREAM,
): void {
  response.writeHead(200, head);
  response.req.socket.on('end', onHalfClose);
  response.req.socket.setTimeout(0);
}

export class Listeners {
  readonly #most: number;
  readonly #all = new Set<ServerResponse>();

  constructor(most: number) {
    this.#most = most;
  }

  get isFull(): boolean {
    return this.#all.size >= this.#most;
  }

  /**
   * Takes the response, whose head is not sent yet, and begins the stream, but where only the head was asked for.
   * `begin`: called once that has begun; subscribes to what is told, and returns what ends each subscription, which is
   * called when the stream has ended.
   */
  add(response: ServerResponse, begin: () => readonly (() => void)[]): void {
    if (response.req.method === 'HEAD') {
      response.writeHead(200, EVENT_STREAM).end();
      return;
    }
    beginStream(response, () => response.end());
    response.write(': listening\n\n');
    this.#all.add(response);
    let ends: readonly (() => void)[] = [];
    response.on('close', () => {
      this.#all.delete(response);
      for (const end of ends) end();
    });
    ends = begin();
  }

  close(): void {
    for (const listener of this.#all) listener.end();
  }
}
