/**
 * What pv-ctrl answers of the storage: objects, steps (revisions), metadata, and collecting.
 *
 * Three errors have the words of Pantavisor's to the letter, as its pvcontrol tells its exit codes by them. What was
 * wrong in detail goes to the log, and stands in the field Error-Detail of the answer, which our pvcontrol shows.
 */
import type { SerialQueue } from '../../kernel/serial-queue.js';
import { isObject } from '../../manifest/json.js';
import { SHA256 } from '../../manifest/objects.js';
import { show } from '../../manifest/problem.js';
import { STATE_SPEC } from '../../manifest/state.js';
import { printable } from '../../manifest/text.js';
import {
  type ApiAnswer,
  type ApiRequest,
  answer,
  FileBody,
  HttpError,
  type Methods,
} from '../router.js';
import type { Collector } from './collector.js';
import { isStoredName } from './durable.js';
import { MAX_VALUE, type Metadata } from './metadata.js';
import type { ObjectStore } from './object-store.js';
import { BAD_CHECKSUM, BAD_STATE, NO_SPACE } from './refusals.js';
import { localName, MAX_MESSAGE, type State, type Trails } from './trails.js';

export interface StorageParts {
  readonly objects: ObjectStore;
  readonly trails: Trails;
  readonly userMeta: Metadata;
  readonly deviceMeta: Metadata;
  /** Puts of steps wait here for what they do not go together with. */
  readonly changes: SerialQueue;
  readonly collector: Pick<Collector, 'run'>;
  /** The revision that runs. */
  readonly current: () => string;
  /** Why no step may be put now, in one sentence; undefined: it may. */
  readonly busyWith: () => string | undefined;
  /** One line for the log. */
  readonly log: (line: string) => void;
}

export function storageRoutes(parts: StorageParts): Record<string, Methods> {
  const routes = new StorageRoutes(parts);
  const meta = (which: Metadata) => ({
    PUT: (request: ApiRequest, key: string) => routes.putMeta(which, key, request),
    DELETE: (_request: ApiRequest, key: string) => routes.deleteMeta(which, key),
  });
  const step = (name: string) => routes.step(name);
  const local = (name: string) => routes.step(`locals/${name}`);
  const { trails, userMeta, deviceMeta } = parts;
  return {
    '/objects': { GET: async () => answer(await routes.objects()) },
    '/objects/:name': {
      GET: (_request, sha) => routes.getObject(sha),
      PUT: (request, sha) => routes.putObject(sha, request),
    },
    '/steps': { GET: () => answer(trails.list()) },
    // Before those of any name, for a revision that is called locals/progress.
    '/steps/locals/:name': {
      GET: (_request, name) => answer(trails.state(local(name))),
      PUT: (request, name) => routes.putStep(name, request),
    },
    '/steps/locals/:name/progress': {
      GET: (_request, name) => answer(trails.progress(local(name))),
    },
    '/steps/locals/:name/commitmsg': {
      PUT: (request, name) => routes.putMessage(local(name), request),
    },
    '/steps/:name': { GET: (_request, name) => answer(trails.state(step(name))) },
    '/steps/:name/progress': { GET: (_request, name) => answer(trails.progress(step(name))) },
    '/steps/:name/commitmsg': {
      PUT: (request, name) => routes.putMessage(step(name), request),
    },
    '/user-meta': { GET: () => answer(userMeta.all()) },
    '/user-meta/:name': meta(userMeta),
    '/device-meta': { GET: () => answer(deviceMeta.all()) },
    '/device-meta/:name': meta(deviceMeta),
    '/storage/gc': { POST: async () => answer({ reclaimed: await parts.collector.run() }) },
  };
}

/** Throws an HttpError where something is under way; `busy`: a sentence that says what. */
export function refuseIfBusy(busy: string | undefined): void {
  if (busy) throw new HttpError(503, busy, { 'Retry-After': '600' });
}

class StorageRoutes {
  readonly #parts: StorageParts;

  constructor(parts: StorageParts) {
    this.#parts = parts;
  }

  /** Pantavisor gives the size as a string. */
  async objects() {
    const all = await this.#parts.objects.list();
    return all.map(({ sha256, size }) => ({ sha256, size: String(size) }));
  }

  async getObject(sha: string): Promise<ApiAnswer> {
    const { objects } = this.#parts;
    const size = await objects.sizeOf(sha);
    if (size === undefined) throw new HttpError(404, `There is no object ${show(sha)}.`);
    return answer(new FileBody(objects.pathOf(sha), size));
  }

  async putObject(sha: string, { body, length }: ApiRequest): Promise<ApiAnswer> {
    if (!SHA256.test(sha)) {
      const expected = 'its SHA-256 in 64 small hexadecimal digits';
      throw new HttpError(400, `Found ${show(sha)}, expected the name of an object, ${expected}.`);
    }
    const { collector, objects } = this.#parts;
    if (length !== undefined && !(await objects.hasRoomFor(length))) {
      await collector.run().catch(() => undefined); // then there is no more room than there is
    }
    const put = await objects.put(sha, body, length);
    if (put.ok) return answer({});
    if (put.kind === 'cut-off') throw new HttpError(400, `The body was cut off: ${put.why}.`);
    // Whoever still sends gets to read the answer.
    await discard(body);
    const [status, words] =
      put.kind === 'no-space' ? ([507, NO_SPACE] as const) : ([422, BAD_CHECKSUM] as const);
    throw this.#refusal(status, words, `the object ${sha} is refused: ${put.why}`);
  }

  /** Its name, where there is one. */
  step(name: string): string {
    const { current, trails } = this.#parts;
    const wanted = name === 'current' ? current() : name;
    const isName = !wanted.startsWith('locals/') || localName(wanted.slice(7)) === wanted;
    if (!isName || wanted.split('/').length > 2 || wanted.includes('..') || !trails.has(wanted)) {
      throw new HttpError(404, `There is no revision ${show(wanted)}.`);
    }
    return wanted;
  }

  async putStep(name: string, request: ApiRequest): Promise<ApiAnswer> {
    const revision = localName(name);
    if (!revision) throw new HttpError(400, `${show(name)} can't be the name of a revision.`);
    const state = await request.json();
    await this.#parts.changes.run(() => this.#putState(revision, state));
    return answer({});
  }

  /** While nothing is collected, so that the objects that it names stay. */
  async #putState(revision: string, state: unknown): Promise<void> {
    const fault = isObject(state) ? await this.#faultOf(state) : 'it is no object';
    if (fault) throw this.#refusal(422, BAD_STATE, `the revision ${revision} is refused: ${fault}`);
    const { busyWith, current, trails } = this.#parts;
    if (revision === current()) {
      throw new HttpError(409, `${revision} runs now: put it under another name.`);
    }
    refuseIfBusy(busyWith());
    await this.#stored(() => trails.put(revision, state as State), revision);
  }

  async putMessage(revision: string, request: ApiRequest): Promise<ApiAnswer> {
    const text = (await request.bytes(MAX_MESSAGE)).toString();
    await this.#stored(() => this.#parts.trails.setMessage(revision, text), revision);
    return answer({});
  }

  async putMeta(meta: Metadata, key: string, request: ApiRequest): Promise<ApiAnswer> {
    if (!isStoredName(key)) {
      const expected = 'a name of at most 200 bytes, without slashes and not beginning with a dot';
      throw new HttpError(400, `Found the key ${show(key)}, expected ${expected}.`);
    }
    if (!meta.hasRoomFor(key)) throw new HttpError(409, 'There are too many keys: delete one.');
    const value = await request.bytes(MAX_VALUE);
    await this.#stored(() => meta.put(key, value), key);
    return answer({});
  }

  async deleteMeta(meta: Metadata, key: string): Promise<ApiAnswer> {
    if (await meta.delete(key)) return answer({});
    throw new HttpError(404, `There is no key ${show(key)}.`);
  }

  /** Why it can't be a revision. */
  async #faultOf(state: State): Promise<string | undefined> {
    if (state['#spec'] !== STATE_SPEC) {
      return `its "#spec" is ${show(state['#spec'])}, expected "${STATE_SPEC}"`;
    }
    const missing = await this.#parts.objects.firstMissing(state);
    if (!missing) return undefined;
    const { key, sha256 } = missing;
    return `${show(key)} is the object ${sha256}, which is not here: put that first`;
  }

  /** Refuses with the words for a full disk where that is why it could not be stored. */
  async #stored(write: () => Promise<void>, what: string): Promise<void> {
    try {
      await write();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      throw this.#refusal(507, NO_SPACE, `${what} is not stored: ${(error as Error).message}`);
    }
  }

  #refusal(status: number, words: string, detail: string): HttpError {
    const line = printable(detail);
    this.#parts.log(`${line}.`);
    // A field of HTTP is ASCII.
    const field = line.replace(/[^\x20-\x7e]/g, '?').slice(0, 1024);
    return new HttpError(status, words, { 'Error-Detail': field });
  }
}

/** The most that is read of a body that nobody wants. */
const MAX_UNWANTED = 64 * 1024 * 1024;

async function discard(body: AsyncIterable<Buffer>): Promise<void> {
  let left = MAX_UNWANTED;
  try {
    for await (const chunk of body) {
      left -= chunk.length;
      if (left < 0) return;
    }
  } catch {
    // It was cut off, or read to its end already.
  }
}
