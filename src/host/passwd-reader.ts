/**
 * The provider's /etc/passwd, read inside its root as it is now. While the container is busy a connection waits, as
 * it would for the socket; one asks again for all.
 */
import type { Broker } from '../broker/client.js';
import { pollUntil } from '../kernel/poll.js';
import type { ErrnoResult } from '../kernel/result.js';
import type { Container } from './containers.js';

const PASSWD = '/etc/passwd';
const AGAIN_MS = 50;
const BUSY_MOST_MS = 5_000;

export class PasswdReader {
  readonly #broker: Broker;
  #busy: { container: Container; passwd: Promise<ErrnoResult<Buffer>> } | null = null;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  /** At most 64 KiB, else EFBIG. Never rejects. */
  async read(container: Container): Promise<ErrnoResult<Buffer>> {
    const read = await this.#broker.read(container.handle, PASSWD);
    if (read.ok || read.errno !== 'EBUSY') return read;
    if (this.#busy?.container !== container) {
      this.#busy = { container, passwd: this.#whenLessBusy(container) };
    }
    return this.#busy.passwd;
  }

  async #whenLessBusy(container: Container): Promise<ErrnoResult<Buffer>> {
    const read = await pollUntil(
      (outcome) => outcome.ok || outcome.errno !== 'EBUSY',
      () => this.#broker.read(container.handle, PASSWD),
      { everyMs: AGAIN_MS, deadline: performance.now() + BUSY_MOST_MS },
    );
    if (this.#busy?.container === container) this.#busy = null;
    return read;
  }
}
