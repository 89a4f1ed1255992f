/** The supervisor's end of descriptor 5 of a broker or a relay: native/handover.h. */
import { BETWEEN_VERSIONS } from '../../src/kernel/between-versions.js';
import { closeAll } from '../../src/kernel/descriptors.js';
import { Channel } from '../../src/relay/channel.js';
import { native, SOCKET_TYPES } from '../../src/relay/native.js';
import { eventually } from './wait.js';

export class Supervision {
  /** For the child; stays this object's. */
  readonly theirs: number;
  readonly #channel: Channel;
  #heard = '';
  #isOpen = true;

  constructor() {
    const [near, far] = native.socketPair(SOCKET_TYPES.seqpacket);
    this.theirs = far;
    this.#channel = new Channel(near, true);
    this.#channel.onData = (data) => {
      this.#heard += data.toString();
    };
  }

  /** Takes the descriptors. */
  say(word: string, fds: readonly number[] = []): void {
    this.#channel.write(Buffer.from(word), fds);
  }

  /** Waits for what it has said, all in all. */
  async heard(words: string): Promise<void> {
    await eventually(() => {
      if (this.#heard !== words) throw new Error(`It has said '${this.#heard}'.`);
    });
  }

  close(): void {
    this.#channel.close();
    if (this.#isOpen) closeAll([this.theirs]);
    this.#isOpen = false;
  }
}

/** With the number of the protocol between versions. */
export const numbered = (letter: 'Z' | 'z' | 'H', number = BETWEEN_VERSIONS) =>
  `${letter}${number}`;

/** A successor is started by `start`, with its descriptors 5 and 6, and is given what `before` holds. */
export async function handOver<T>(
  before: Supervision,
  after: Supervision,
  start: (handover: readonly number[]) => Promise<T>,
): Promise<T> {
  const [give, take] = native.socketPair(SOCKET_TYPES.stream);
  const started = start([after.theirs, take]);
  before.say(numbered('H'), [give]);
  const successor = await started;
  await after.heard('h');
  closeAll([take]);
  return successor;
}
