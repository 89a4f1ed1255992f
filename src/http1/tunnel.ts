/**
 * Two streams joined after an upgrade, where the native relay can't join them since one is no socket: bytes both ways,
 * with half-close and back-pressure, until both streams have ended or one is broken.
 */
import type { ByteStream, ByteStreamOwner } from '../relay/byte-stream.js';

class Half implements ByteStreamOwner {
  /** This side sends no more. */
  done = false;
  /** Bytes for this side are still unsent. */
  owed = false;
  readonly #near: ByteStream;
  readonly #tunnel: Tunnel;
  far: Half | null = null;

  constructor(tunnel: Tunnel, near: ByteStream) {
    this.#near = near;
    this.#tunnel = tunnel;
    near.owner = this;
  }

  received(buffer: Buffer, from: number, to: number): void {
    if (!this.far?.write(buffer, from, to)) this.#near.pause();
  }

  write(buffer: Buffer, from: number, to: number): boolean {
    this.owed = !this.#near.write(buffer, from, to);
    return !this.owed;
  }

  drained(): void {
    this.owed = false;
    this.far?.resume();
    this.#tunnel.check();
  }

  resume(): void {
    this.#near.resume();
  }

  ended(): void {
    this.done = true;
    this.far?.end();
    this.#tunnel.check();
  }

  end(): void {
    this.#near.end();
  }

  hungUp(): void {}

  broken(): void {
    this.#tunnel.close();
  }
}

export class Tunnel {
  readonly #streams: readonly [ByteStream, ByteStream];
  readonly #halves: readonly [Half, Half];

  /** Takes both streams. */
  constructor(client: ByteStream, provider: ByteStream) {
    this.#streams = [client, provider];
    this.#halves = [new Half(this, client), new Half(this, provider)];
    const [first, second] = this.#halves;
    first.far = second;
    second.far = first;
    client.resume();
    provider.resume();
  }

  /** Closes both streams once neither sends more and nothing is unsent. */
  check(): void {
    if (this.#halves.every(({ done, owed }) => done && !owed)) this.close();
  }

  close(): void {
    for (const stream of this.#streams) stream.close();
  }
}
