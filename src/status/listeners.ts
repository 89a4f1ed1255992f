/** Who listens to a stream of server-sent events that begins when they ask: how many there may be, and their end. */
import type { ServerResponse } from 'node:http';

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
    response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
    if (response.req.method === 'HEAD') {
      response.end();
      return;
    }
    response.write(': listening\n\n');
    this.#all.add(response);
    let ends: readonly (() => void)[] = [];
    response.on('close', () => {
      this.#all.delete(response);
      for (const end of ends) end();
    });
    response.req.socket.on('end', () => response.end());
    response.req.socket.setTimeout(0);
    ends = begin();
  }

  close(): void {
    for (const listener of this.#all) listener.end();
  }
}
