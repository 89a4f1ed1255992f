/**
 * `POST /probe?consumer=&name=&target=`: tries one link by one connection to its provider, and answers with what that
 * has shown. One at a time for each link, with a pause between two, and few at a time in all: a provider is asked no
 * more often than an impatient consumer would. One that hangs goes on holding its place until it has ended.
 */
import { withDeadline } from '../kernel/deadline.js';
import { type LinkError, REMEDIES } from '../kernel/errors.js';
import { failed, type Result } from '../kernel/result.js';
import type { Probed } from '../mesh/attacher.js';
import { linksNamed } from './links-asked.js';
import type { StatusStore } from './store.js';

/** Null: there is no such link any more. */
export type ProbeLink = (link: string) => Promise<Result<Probed> | null>;

/** What `/probe` answers with 200. */
export type ProbeView =
  | { readonly ok: true; readonly found: string; readonly proven: boolean }
  | { readonly ok: false; readonly error: LinkError & { readonly remedy: string } };

interface Answer {
  readonly status: number;
  readonly body: ProbeView | { readonly Error: string };
}

const MOST = 4;
/** Between the end of one and the begin of the next, of one link, in milliseconds. */
const PAUSE_MS = 1_000;
/** Longer than connecting, a login and its end may take together, in milliseconds. */
const PATIENCE_MS = 9_000;

export class Probes {
  readonly #store: StatusStore;
  readonly #probe: ProbeLink;
  readonly #underWay = new Set<string>();
  /** By link: no other one before, by performance.now(). Those that are over are forgotten with the next one. */
  readonly #notBefore = new Map<string, number>();

  constructor(store: StatusStore, probe: ProbeLink) {
    this.#store = store;
    this.#probe = probe;
  }

  /** `asked`: `consumer` and `name`, and `target` where the consumer has several links of that name. */
  async answer(asked: URLSearchParams): Promise<Answer> {
    const [found, ...more] = linksNamed(this.#store, asked);
    if (!found || more.length > 0) {
      const wanted = '"consumer", "name" and, if it has several, "target" of one link';
      return refusal(
        404,
        `Found ${found ? more.length + 1 : 'no'} such links, expected ${wanted}.`,
      );
    }
    const { id } = found;
    const obstacle = this.#obstacle(id);
    if (obstacle !== null) return refusal(429, obstacle);
    this.#underWay.add(id);
    const probing = this.#probe(id).finally(() => {
      this.#underWay.delete(id);
      this.#notBefore.set(id, performance.now() + PAUSE_MS);
    });
    const late = `Nothing was shown within ${PATIENCE_MS / 1000} s.`;
    const tried = await withDeadline(
      probing,
      PATIENCE_MS,
      failed({ code: 'timed-out', message: late }),
    );
    return { status: 200, body: viewOf(tried ?? failed(HAS_LEFT)) };
  }

  #obstacle(id: string): string | null {
    const now = performance.now();
    for (const [link, until] of this.#notBefore) if (until <= now) this.#notBefore.delete(link);
    if (this.#underWay.has(id)) return 'This link is being tried already: wait for that.';
    if (this.#notBefore.has(id)) return 'This link was tried a moment ago: ask again in a second.';
    if (this.#underWay.size < MOST) return null;
    return `${MOST} links are being tried already: wait for one of them.`;
  }
}

const HAS_LEFT: LinkError = { code: 'container-gone', message: 'The link has left the graph.' };

function viewOf(tried: Result<Probed>): ProbeView {
  if (tried.ok) return { ok: true, found: tried.value.found, proven: tried.value.isProven };
  const { code, message } = tried.error;
  return { ok: false, error: { code, message, remedy: REMEDIES[code] } };
}

function refusal(status: number, sentence: string): Answer {
  return { status, body: { Error: sentence } };
}
