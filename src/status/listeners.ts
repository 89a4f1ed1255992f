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
   * Takes the response, whose head is not sent yet, and begins the stream. False: the head was all that was asked for.
   * `onEnd`: called once, when the stream has ended.
   */
  add(response: ServerResponse, onEnd: () => void): boolean {
    response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
    if (response.req.method === 'HEAD') {
      response.end();
      return false;
    }
    response.write(': listening\n\n');
    this.#all.add(response);
    response.on('close', () => {
      this.#all.delete(response);
      onEnd();
    });
    response.req.socket.on('end', () => response.end());
    response.req.socket.setTimeout(0);
    return true;
  }

  close(): void {
    for (const listener of this.#all) listener.end();
  }
}
