/**
 * One side of a connection: its channel, its bytes made messages, and what is on its way to it.
 */
import type { Channel } from '../plugin.js';
import { MessageReader, type ReaderOptions, type Receiver } from './message-reader.js';
import { Outlet } from './outlet.js';
import type { Share } from './share.js';

export interface SideOwner {
  /** So many bytes of it were looked at, and this is wrong with them. */
  onRead(side: Side, bytes: number, fault: string | null): void;
  /** It sends no more, and all that it sent was looked at. */
  onEnd(side: Side, broken: boolean): void;
  /** It was closed under us. */
  onClosed(): void;
  /** Somebody threw. */
  onBug(thrown: unknown): void;
}

export class Side {
  readonly channel: Channel;
  readonly outlet: Outlet;
  readonly #reader: MessageReader;
  readonly #owner: SideOwner;
  readonly #share: Share;
  /** Reasons to look at nothing for now. */
  #stops = 0;
  #isOver = false;
  #isFinished = false;
  #isWaiting = false;

  /** `share`: of its link. */
  constructor(
    channel: Channel,
    options: ReaderOptions & { readonly share: Share },
    owner: SideOwner,
    { onMessage, onMore }: Receiver,
  ) {
    this.channel = channel;
    this.outlet = new Outlet(channel);
    this.#owner = owner;
    this.#share = options.share;
    const taking: Receiver = {
      onMessage: (message) => {
        const { length } = message;
        const isWanted = onMessage(message);
        if (!this.#share.spend(length)) this.#takeTurns();
        return isWanted;
      },
      onMore,
    };
    this.#reader = new MessageReader(taking, options);
    channel.onData = (chunk, fds) => this.#look(chunk, fds);
    channel.onEnd = (error) => {
      this.#isOver = true;
      owner.onEnd(this, error !== undefined);
    };
    channel.onClosed = () => owner.onClosed();
  }

  /** It will send no more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Looks at no more of it. */
  giveUp(): void {
    this.#isOver = true;
    this.#reader.close();
    this.channel.pause();
  }

  /** It is told that no more comes, behind what is on its way to it. */
  finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.channel.end();
  }

  /** Descriptors in our table that wait for a message, or for room. */
  get fds(): number {
    return this.#reader.waitingFds + this.outlet.waitingFds + this.channel.unsentFds;
  }

  read(wanted: boolean): void {
    if (wanted && !this.#isOver && !this.#reader.isStopped) this.channel.resume();
    else this.channel.pause();
  }

  /** Calls back when all that was sent is with the kernel; once, however often it is asked for meanwhile. */
  onRoom(then: () => void): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    void this.channel.flushed().then(() => {
      this.#isWaiting = false;
      then();
    });
  }

  /** Looks at nothing that comes until `go`. */
  stop(): void {
    this.#stops++;
    this.#reader.stop();
  }

  /** Takes back one `stop`. */
  go(): void {
    if (--this.#stops === 0) this.#look(null, []);
  }

  #takeTurns(): void {
    this.stop();
    this.#share.wait(() => this.go());
  }

  /** A bug in whoever looks ends this connection, and nothing else. Null: at what was left. */
  #look(chunk: Buffer | null, fds: readonly number[]): void {
    try {
      const fault = chunk ? this.#reader.feed(chunk, fds) : this.#reader.go();
      this.#owner.onRead(this, chunk?.length ?? 0, fault);
    } catch (thrown) {
      this.#owner.onBug(thrown);
    }
  }

  close(): void {
    this.#reader.close();
    this.outlet.close();
    this.channel.onClosed = null;
    this.channel.close();
  }
}
