/**
 * The health check of one link: a GET at intervals, which the provider has to answer with 2xx or 3xx. While it does
 * not, the link is `failed`, and its requests are answered with 503. When the provider's container is another one, it
 * is asked at once.
 */
import type { HttpOptions, Link } from '../../graph/link.js';
import { type Limits, probe } from '../../http1/index.js';
import { identityLines } from '../http/link-route.js';
import type { LinkHost } from '../plugin.js';

const INTERVAL_S = 10;
const TIMEOUT_S = 2;
const AWAY_MS = 1_000;

export class Health {
  /** What the last check found; null: nothing is wrong, or there was none yet. */
  complaint: string | null = null;
  readonly #link: Link;
  readonly #host: LinkHost;
  readonly #options: NonNullable<HttpOptions['health']>;
  readonly #limits: Limits;
  #timer: NodeJS.Timeout | null = null;
  /** The container has changed since the check under way began. */
  #outdated = false;
  #over = false;

  constructor(
    link: Link,
    host: LinkHost,
    limits: Limits,
    options: NonNullable<HttpOptions['health']>,
  ) {
    this.#link = link;
    this.#host = host;
    this.#limits = limits;
    this.#options = options;
    host.onProviderChange(() => this.#askAnew());
    void this.#ask();
  }

  stop(): void {
    this.#over = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  #askAnew(): void {
    this.#outdated = true;
    if (this.#over || !this.#timer) return; // a check is under way, or the link has ended
    clearTimeout(this.#timer);
    void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#timer = null;
    this.#outdated = false;
    const { path, interval = INTERVAL_S, timeout = TIMEOUT_S } = this.#options;
    const made = await this.#host.connect();
    let nextMs = interval * 1000;
    if (!made.ok) {
      nextMs = AWAY_MS; // the state of the link tells that already
    } else {
      const head = [
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: pv-xconnect\r\n`,
        `${identityLines(this.#link)}Connection: close\r\n\r\n`,
      ].join('');
      const found = await probe(this.#host.bytes(made.value), head, this.#limits, timeout * 1000);
      if (!this.#over && !this.#outdated) {
        this.#tell(found.ok ? complaintAbout(found.value) : found.complaint);
      }
    }
    if (this.#over) return;
    this.#timer = setTimeout(() => void this.#ask(), this.#outdated ? 0 : nextMs);
  }

  #tell(complaint: string | null): void {
    if (complaint === this.complaint) return;
    this.complaint = complaint;
    const { provider } = this.#link;
    const message = `${provider} is not well: GET ${this.#options.path}: ${complaint}.`;
    this.#host.reportHealth(complaint === null ? null : { code: 'provider-unhealthy', message });
  }
}

function complaintAbout(status: number): string | null {
  return status >= 200 && status < 400 ? null : `it answered ${status}`;
}
