/** What is to be told of one request once it is dealt with: to whoever counts them, and to the access log. */
import type { Start } from './client.js';
import type { Cut, Route } from './route.js';

export class Journal {
  /** That the client was answered; 0: none. */
  status = 0;
  /** Of the answer's body. */
  bytes = 0;
  #cut: Cut | null = null;
  #route: Route | null = null;
  #start: Start | null = null;
  #since = 0;

  begin(route: Route, start: Start): void {
    this.status = this.bytes = 0;
    this.#cut = null;
    this.#route = route;
    this.#start = start;
    this.#since = performance.now();
    route.onBegin?.();
  }

  /** It ends for it took too long. */
  cut(cut: Cut): void {
    this.#cut = cut;
    this.#route?.onCut?.(cut);
  }

  /** More than once is as good as once. */
  end(): void {
    const route = this.#route;
    this.#route = null;
    if (!route || !this.#start) return;
    route.onEnd?.();
    if (!route.log) return;
    const { method, target, host } = this.#start;
    const { status, bytes } = this;
    const milliseconds = Math.round(performance.now() - this.#since);
    const cut = this.#cut === null ? {} : { cut: this.#cut };
    route.log({ method, target, host, status, bytes, milliseconds, ...cut });
  }
}
