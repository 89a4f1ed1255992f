/** One request of our own, to see what a provider answers: on a connection for it alone. */
import type { ByteStream } from '../relay/byte-stream.js';
import type { Limits } from './limits.js';
import { type Asker, type Keeper, ProviderConnection } from './provider-connection.js';
import type { ResponseHead } from './response-head.js';

/** The status, or in words what came instead. */
export type Probed = number | string;

class Probe implements Asker, Keeper {
  readonly method = 'GET';
  readonly requestDone = true;
  readonly mayUpgrade = false;
  readonly limits: Limits;
  readonly #settle: (found: Probed) => void;

  constructor(limits: Limits, settle: (found: Probed) => void) {
    this.limits = limits;
    this.#settle = settle;
  }

  answered(answer: ResponseHead): void {
    this.#settle(answer.status);
  }

  failed(): void {
    this.#settle('it closed the connection');
  }

  informed(): void {}
  data(): void {}
  finished(): void {}
  upgraded(): void {}
  turned(): void {}
  drained(): void {}
  kept(): void {}
  gone(): void {}
}

/** Takes the stream. Never rejects. `head` is a whole GET request. */
export function probe(
  stream: ByteStream,
  head: string,
  limits: Limits,
  timeoutMs: number,
): Promise<Probed> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => settle('it did not answer in time'), timeoutMs);
    const settle = (found: Probed) => {
      clearTimeout(timer);
      resolve(found);
      connection.close();
    };
    const asker = new Probe(limits, settle);
    const connection = new ProviderConnection(stream, asker);
    connection.begin(asker);
    const bytes = Buffer.from(head, 'latin1');
    stream.write(bytes, 0, bytes.length);
  });
}
