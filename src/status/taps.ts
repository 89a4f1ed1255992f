/**
 * `POST /tap?consumer=&name=&for=`: what passes on a link, as server-sent events, to root. What its reader has no room
 * for is left out and counted, and the link never waits for it.
 */
import type { ServerResponse } from 'node:http';
import type { Tap, TapSink } from '../mesh/attacher.js';
import {
  type Asker,
  type Begun,
  type LeaseParts,
  Leases,
  type Refused,
  type Tell,
} from './leases.js';
import type { LinkStatus } from './store.js';

/** Shows what passes on a link. */
export type TapLink = (link: string, sink: TapSink) => Tap;

/** Unread bytes of a reader: beyond them what passes is left out. */
const MAX_UNREAD = 1024 * 1024;

export class Taps {
  readonly leases: Leases;
  readonly #tap: TapLink;

  constructor(parts: LeaseParts, tap: TapLink) {
    this.leases = new Leases({ name: 'tap', done: 'tapped', most: 4 }, parts);
    this.#tap = tap;
  }

  /** Takes the response, or says why not. */
  add(response: ServerResponse, asker: Asker, asked: URLSearchParams): Refused | null {
    return this.leases.grant(response, asker, asked, (...begun) => this.#begin(...begun));
  }

  #begin(links: readonly LinkStatus[], response: ServerResponse, tell: Tell): Begun {
    const shown = new Shown(response, tell);
    const taps = links.map(({ id, link }) => this.#tap(id, shown.sink(link.target)));
    return {
      begun: Promise.all(taps.map(({ begun }) => begun)),
      end: () => Promise.all(taps.map((tap) => tap.end())),
      summary: () => shown.summary(),
    };
  }
}

/** What one reader is shown. */
class Shown {
  readonly #response: ServerResponse;
  readonly #tell: Tell;
  #bytes = 0;
  #lost = 0;
  /** Of those, what is not told yet. */
  #untold = 0;
  #waiting: (() => void)[] = [];

  constructor(response: ServerResponse, tell: Tell) {
    this.#response = response;
    this.#tell = tell;
    response.on('drain', () => {
      for (const go of this.#waiting.splice(0)) go();
    });
  }

  /** `target`: of the link. */
  sink(target: string): TapSink {
    const shown = this;
    return {
      get isFull() {
        return shown.#response.writableLength > MAX_UNREAD;
      },
      take: ({ bytes, ...about }) => {
        this.#sayLost();
        this.#bytes += bytes.length;
        this.#tell({ target, ...about, bytes: bytes.toString('base64') });
      },
      lost: (bytes) => {
        this.#lost += bytes;
        this.#untold += bytes;
      },
      whenRoom: (go) => void this.#waiting.push(go),
    };
  }

  summary(): { readonly text: string; readonly data: object } {
    const [shown, lost] = [this.#bytes, this.#lost];
    this.#sayLost();
    const left = lost > 0 ? `, ${lost} left out as it was read too slowly` : '';
    return { text: `, ${shown} bytes were shown${left}`, data: { shown, lost } };
  }

  #sayLost(): void {
    if (this.#untold > 0 && !this.#response.writableEnded) this.#tell({ lost: this.#untold });
    this.#untold = 0;
  }
}
