/**
 * The poller: which byte channels of this process have something to do, one native call a round.
 *
 * What it says to a channel is a hint: the channel tries, and finds out. Channels that have more to do than is
 * fair to the others in one round ask for another turn. What is thrown at one of them is a bug: it ends that one,
 * and the others have their turn.
 */
import { type NativePoller, native } from './native.js';
import { tryLater } from './transient.js';

const BATCH = 128; // as native/addon/poller.c has it
export const EPOLLIN = 0x001;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008;
export const EPOLLHUP = 0x010;
export const EPOLLRDHUP = 0x2000;

export interface Polled {
  /** epoll bits. */
  happened(events: number): void;
  /** Its turn, asked for by `again` or `later`. May come after its end. */
  turn(): void;
  /** Closes it as if it had broken. */
  abort(): void;
}

class Poller {
  /** Told of every bug. Null: it is thrown where it ends the process. */
  onBug: ((thrown: unknown) => void) | null = null;
  readonly #events = new Int32Array(2 * BATCH);
  readonly #byFd = new Map<number, Polled>();
  #native: NativePoller | null = null;
  readonly #waiting: Polled[] = [];
  #scheduled = false;
  readonly #late = new Set<Polled>();

  /** Makes its own place on the loop, which may find none later; `add` does it at the latest. */
  open(): void {
    this.#native ??= native.pollerOpen(this.#events, (count) => this.#round(count));
  }

  /** Returns 0 or -errno. The descriptor stays the caller's, who removes it before it is closed. */
  add(fd: number, polled: Polled): number {
    this.open();
    const opened = this.#native as NativePoller;
    const result = native.pollerAdd(opened, fd);
    if (result < 0) return result;
    this.#byFd.set(fd, polled);
    if (this.#byFd.size === 1) native.pollerHold(opened, 1);
    return 0;
  }

  remove(fd: number): void {
    if (!this.#native || !this.#byFd.delete(fd)) return;
    native.pollerRemove(this.#native, fd);
    if (this.#byFd.size === 0) native.pollerHold(this.#native, 0);
  }

  /** Has its `turn` called once, after the others have had theirs. */
  again(polled: Polled): void {
    this.#waiting.push(polled);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turns(this.#waiting.splice(0));
    });
  }

  /** Has its `turn` called once, after a while: something failed that will pass, and no event tells when. */
  later(polled: Polled): void {
    this.#late.add(polled);
    if (this.#late.size > 1) return;
    tryLater(() => {
      const late = [...this.#late];
      this.#late.clear();
      this.#turns(late);
    });
  }

  #round(count: number): void {
    const events = this.#events;
    for (let i = 0; i < count; i++) {
      const polled = this.#byFd.get(events[2 * i] as number);
      try {
        polled?.happened(events[2 * i + 1] as number);
      } catch (thrown) {
        this.#end(polled, thrown);
      }
    }
  }

  #turns(waiting: readonly Polled[]): void {
    for (const polled of waiting) {
      try {
        polled.turn();
      } catch (thrown) {
        this.#end(polled, thrown);
      }
    }
  }

  #end(polled: Polled | undefined, thrown: unknown): void {
    this.#tell(thrown);
    try {
      polled?.abort();
    } catch (again) {
      this.#tell(again); // it is closed all the same
    }
  }

  #tell(thrown: unknown): void {
    if (this.onBug) this.onBug(thrown);
    else
      setImmediate(() => {
        throw thrown;
      });
  }
}

export const poller = new Poller();
