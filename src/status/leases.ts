/**
 * What root may ask of a link for a while: `POST /tap` (taps.ts). It lasts as long as the connection on which it was
 * asked for, and no longer than was said; it is told in the log, and marked in the graph while it lasts.
 *
 *     asked ──refused: 400, 403, 404, 409, 503
 *       '───▸ lasting ──time, the asker leaves, its last link leaves, the daemon leaves──▸ ending ──all was told──▸ over
 *
 * Who asks is known by the kernel's credentials of the connection, not by the mode of the socket's file: that lets in
 * whoever is in root's group, and may be changed.
 */
import type { ServerResponse } from 'node:http';
import { isDevice } from '../graph/endpoint.js';
import type { Logger } from '../kernel/log.js';
import { linksNamed } from './links-asked.js';
import { beginStream, NOT_STORED } from './listeners.js';
import type { LinkStatus, StatusStore } from './store.js';

/** The process that connected to the control socket, in our own namespaces. */
export interface Asker {
  readonly pid: number;
  readonly uid: number;
}

export interface LeaseParts {
  readonly store: StatusStore;
  readonly log: Logger;
}

/** What is asked for, beside how long. */
export interface Details {
  /** Shown with the link. */
  readonly mark?: object;
  /** For the log and the asker; begins with what parts it from the rest. */
  readonly text?: string;
  /** What is wrong with it, in one sentence. */
  readonly error?: string;
}

/** Why it is not granted, in one sentence. */
export interface Refused {
  readonly status: number;
  readonly error: string;
}

/** How a link shows it. */
interface Mark extends Asker {
  readonly since: string;
  readonly until: string;
}

/** Sends an object to the asker. */
export type Tell = (data: object) => void;

/** What it is, once begun. */
export interface Begun {
  /** Resolves when it is in effect. Never rejects. */
  readonly begun: Promise<unknown>;
  /** Undoes it, and resolves once nothing more is told of it. Never rejects. */
  end(): Promise<unknown>;
  /** For the log and the asker, at its end. */
  summary(): { readonly text: string; readonly data: object };
}

/** Why it has ended where that is not what whoever asked could expect. */
export const DAEMON_ENDS = 'the daemon ends';

/** The longest time that may be asked for, in seconds; and that of who says nothing. */
const MAX_SECONDS = 3_600;
const SECONDS = 30;
/** How long an asker who reads nothing keeps the connection after the end, in milliseconds. */
const LINGER_MS = 5_000;

interface LeaseKind {
  /** Its key of a link in the graph: `tap`. */
  readonly name: string;
  /** For the log: `tapped`. */
  readonly done: string;
  /** At once, of all links. */
  readonly most: number;
}

export class Leases {
  readonly #kind: LeaseKind;
  readonly #store: StatusStore;
  readonly #log: Logger;
  readonly #all = new Set<Lease>();
  /** By the id of the link. */
  readonly #marks = new Map<string, Mark>();

  constructor(kind: LeaseKind, { store, log }: LeaseParts) {
    this.#kind = kind;
    this.#store = store;
    this.#log = log;
    store.on('change', ({ id }, gone) => {
      if (gone) for (const lease of [...this.#all]) lease.without(id);
    });
  }

  /** What it adds to a link in the graph. */
  shown(id: string): Readonly<Record<string, Mark>> {
    const mark = this.#marks.get(id);
    return mark ? { [this.#kind.name]: mark } : {};
  }

  /** Begins it on the links that are asked for, and takes the response; or says why not. */
  grant(
    response: ServerResponse,
    asker: Asker,
    asked: URLSearchParams,
    begin: (links: readonly LinkStatus[], response: ServerResponse, tell: Tell) => Begun,
    { mark: about = {}, text: more = '', error }: Details = {},
  ): Refused | null {
    const { name, done, most } = this.#kind;
    if (asker.uid !== 0) return refused(403, `Only root may ask for a ${name}: become root.`);
    const seconds = Number(asked.get('for') ?? SECONDS);
    if (!(seconds > 0 && seconds <= MAX_SECONDS)) {
      return refused(400, `"for" has to be a number of seconds up to ${MAX_SECONDS}.`);
    }
    if (error !== undefined) return refused(400, error);
    const links = linksNamed(this.#store, asked);
    const [first] = links;
    if (!first) return refused(404, 'There is no link of this "consumer" and "name".');
    if (isDevice(first.link.type)) {
      const { type } = first.link;
      const error = `Nothing passes on a link of type ${type}: its client has the device itself.`;
      return refused(409, error);
    }
    for (const { id } of links) {
      const mark = this.#marks.get(id);
      if (!mark) continue;
      return refused(409, `The link is ${done} already, by pid ${mark.pid} until ${mark.until}.`);
    }
    if (this.#all.size >= most) {
      return refused(503, `There are ${most} of a ${name} already, the most: end another one.`);
    }
    const now = Date.now();
    const until = new Date(now + seconds * 1_000).toISOString();
    const since = new Date(now).toISOString();
    const mark = { pid: asker.pid, uid: asker.uid, since, until, ...about };
    for (const { id } of links) this.#mark(id, mark);
    const log = (ids: readonly string[], text: string) => {
      for (const link of ids) this.#log.warn({ link }, text);
    };
    const who = `pid ${asker.pid} (uid ${asker.uid})`;
    log(ids(links), `${done} by ${who} for ${seconds} s${more}`);
    const lease = new Lease(response, ids(links), {
      ms: seconds * 1_000,
      begin: (tell) => begin(links, response, tell),
      onLeft: (id) => this.#mark(id, null),
      onOver: (left, reason, text) => {
        this.#all.delete(lease);
        for (const id of left) this.#mark(id, null);
        log(ids(links), `no longer ${done} by ${who}: ${reason}${text}`);
      },
    });
    this.#all.add(lease);
    lease.start({ links: links.map(({ link: { target } }) => ({ target })), until, text: more });
    return null;
  }

  /** Ends all, as the daemon does. */
  close(): void {
    for (const lease of [...this.#all]) lease.end(DAEMON_ENDS);
  }

  #mark(id: string, mark: Mark | null): void {
    if (mark) this.#marks.set(id, mark);
    else this.#marks.delete(id);
    this.#store.touch(id);
  }
}

interface LeaseOptions {
  readonly ms: number;
  begin(tell: Tell): Begun;
  onLeft(id: string): void;
  onOver(left: readonly string[], reason: string, text: string): void;
}

class Lease {
  readonly #response: ServerResponse;
  readonly #options: LeaseOptions;
  readonly #left: Set<string>;
  #begun: Begun | null = null;
  #timer: NodeJS.Timeout | undefined;
  #ending = false;

  constructor(response: ServerResponse, links: readonly string[], options: LeaseOptions) {
    this.#response = response;
    this.#options = options;
    this.#left = new Set(links);
  }

  start(about: object): void {
    const response = this.#response;
    beginStream(response, () => this.end('whoever asked has left'), NOT_STORED);
    const tell: Tell = (data) => void response.write(`data: ${JSON.stringify(data)}\n\n`);
    response.on('close', () => this.end('whoever asked has left'));
    response.flushHeaders();
    this.#begun = this.#options.begin(tell);
    void this.#begun.begun.then(() => {
      if (!this.#ending) tell({ begin: about });
    });
    this.#timer = setTimeout(() => this.end('its time is over'), this.#options.ms);
  }

  /** A link of it has left. */
  without(id: string): void {
    if (!this.#left.delete(id)) return;
    this.#options.onLeft(id);
    if (this.#left.size === 0) this.end('the link has left');
  }

  end(reason: string): void {
    if (this.#ending) return;
    this.#ending = true;
    clearTimeout(this.#timer);
    void this.#finish(reason);
  }

  async #finish(reason: string): Promise<void> {
    const response = this.#response;
    await this.#begun?.end();
    const { text = '', data = {} } = this.#begun?.summary() ?? {};
    if (!response.writableEnded && !response.destroyed) {
      response.end(`data: ${JSON.stringify({ end: { reason, ...data } })}\n\n`);
      const linger = setTimeout(() => response.destroy(), LINGER_MS);
      response.on('close', () => clearTimeout(linger));
    }
    this.#options.onOver([...this.#left], reason, text);
  }
}

function refused(status: number, error: string): Refused {
  return { status, error };
}

function ids(links: readonly LinkStatus[]): string[] {
  return links.map(({ id }) => id);
}
