/** One request by the daemon itself, on a connection of its own, to see what a provider answers. */
import { ok, type Result } from '../kernel/result.js';
import type { ByteStream } from '../relay/byte-stream.js';
import type { Limits } from './limits.js';
import { type ConnectionOwner, ProviderConnection, type Requester } from './provider-connection.js';
import type { ResponseHead } from './response-head.js';

/** The status of the answer. `complaint`: in words, what came in its place. */
export type Probed = Result<number, { readonly complaint: string }>;

class Probe implements Requester, ConnectionOwner {
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
    this.#settle(ok(answer.status));
  }

  failed(): void {
    this.#settle({ ok: false, complaint: 'it closed the connection' });
  }

  informed(): void {}
  data(): void {}
  finished(): void {}
  upgraded(): void {}
  readComplete(): void {}
  drained(): void {}
  kept(): void {}
  gone(): void {}
}

/** Takes the stream, and closes it. `head`: a whole GET request, Latin-1. Never rejects. */
export function probe(
  stream: ByteStream,
  head: string,
  limits: Limits,
  timeoutMs: number,
): Promise<Probed> {
  return new Promise((resolve) => {
    const late = { ok: false, complaint: 'it did not answer in time' } as const;
    const timer = setTimeout(() => settle(late), timeoutMs);
    const settle = (found: Probed) => {
      clearTimeout(timer);
      resolve(found);
      connection.close();
    };
    const once = new Probe(limits, settle);
    const connection = new ProviderConnection(stream, once);
    connection.begin(once);
    const bytes = Buffer.from(head, 'latin1');
    stream.write(bytes, 0, bytes.length);
  });
}
