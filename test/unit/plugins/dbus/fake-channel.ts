/** A channel without a socket, for what has to be tried many thousand times: all that is written is there at once. */
import { closeAll } from '../../../../src/kernel/descriptors.js';
import type { Channel } from '../../../../src/plugins/plugin.js';

export class FakeChannel {
  onData: ((data: Buffer, fds: number[]) => void) | null = null;
  onEnd: ((error?: Error) => void) | null = null;
  onClosed: (() => void) | null = null;
  readonly idle = true;
  readonly unsentFds = 0;
  isOpen = true;
  isReading = true;
  /** Its peer was told that no more comes. */
  isEnded = false;
  written = Buffer.alloc(0);
  writes = 0;

  get channel(): Channel {
    return this as unknown as Channel;
  }

  feed(...pieces: Buffer[]): void {
    for (const piece of pieces) if (piece.length > 0 && this.isOpen) this.onData?.(piece, []);
  }

  /** What was written since it was last asked. */
  take(): Buffer {
    const taken = this.written;
    this.written = Buffer.alloc(0);
    return taken;
  }

  write(data: Buffer, fds: readonly number[] = []): boolean {
    closeAll(fds);
    this.writes++;
    this.written = Buffer.concat([this.written, data]);
    return true;
  }

  resume(): void {
    this.isReading = true;
  }

  pause(): void {
    this.isReading = false;
  }

  flushed(): Promise<void> {
    return Promise.resolve();
  }

  end(): void {
    this.isEnded = true;
  }

  close(): void {
    this.isOpen = false;
    this.onData = this.onEnd = null;
  }
}
