/**
 * Finds the handler of a request and takes its answer, apart from any socket. An unknown path is 404, a known one with
 * another method 405, one that its caller may not have 403; a handler refuses by throwing an HttpError.
 */

/** The container that asks, known by the listener that it came through; null: whoever may use the host's socket. */
export interface Caller {
  readonly container: string;
  /** It has the role `mgmt`. */
  readonly isManager: boolean;
}

export interface ApiRequest {
  readonly method: string;
  /** Without query. */
  readonly path: string;
  readonly caller: Caller | null;
  /** How many bytes the body has, where its head says that. */
  readonly length: number | undefined;
  /** The bytes of the body; iterating it fails where the body is cut off. */
  readonly body: AsyncIterable<Buffer>;
  /** Reads the body, of at most `limit` bytes; rejects with an HttpError. */
  bytes(limit: number): Promise<Buffer>;
  /** Reads and parses the body; rejects with an HttpError. */
  json(): Promise<unknown>;
}

/** A file of the host that is the body of an answer, and how many bytes of it. */
export class FileBody {
  readonly path: string;
  readonly size: number;

  constructor(path: string, size: number) {
    this.path = path;
    this.size = size;
  }
}

export interface ApiAnswer {
  readonly status: number;
  /** A string is sent as text, a file as bytes, anything else as JSON. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Thrown by a handler, and answered as `{"Error": message}`: the one exception that is no bug. */
export class HttpError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
    this.headers = headers;
  }
}

/** 200. */
export function answer(body: unknown): ApiAnswer {
  return { status: 200, body };
}

/** `name`: what stands for `:name` in the route's path. */
export type Handler = (request: ApiRequest, name: string) => ApiAnswer | Promise<ApiAnswer>;
export type Methods = Readonly<Record<string, Handler>>;

interface Route {
  readonly segments: readonly string[];
  readonly methods: Methods;
}

const NAME = ':name';

export class Router {
  readonly #routes: readonly Route[];
  readonly #open: ReadonlySet<string>;

  /**
   * `routes`: by path, in which one segment may be `:name`. A path that is spelled out goes before one with a name.
   * `open`: the paths that every container may use; all others are for the host and for managers.
   */
  constructor(routes: Readonly<Record<string, Methods>>, open: readonly string[] = []) {
    this.#routes = Object.entries(routes)
      .map(([path, methods]) => ({ segments: path.split('/'), methods }))
      .sort((a, b) => names(a) - names(b));
    this.#open = new Set(open);
  }

  /** Rejects for bugs only. */
  async handle(request: ApiRequest): Promise<ApiAnswer> {
    const { caller, method, path } = request;
    try {
      if (caller && !caller.isManager && !this.#open.has(path)) {
        const message = `${caller.container} may not use ${path}: that takes the role "mgmt".`;
        throw new HttpError(403, message);
      }
      const { methods, name } = this.#find(path);
      if (!Object.hasOwn(methods, method)) {
        const allowed = Object.keys(methods).join(', ');
        const message = `${method} is not possible on ${path}, only ${allowed} is.`;
        throw new HttpError(405, message, { Allow: allowed });
      }
      return await (methods[method] as Handler)(request, name);
    } catch (thrown) {
      if (!(thrown instanceof HttpError)) throw thrown;
      const { status, message, headers } = thrown;
      return { status, body: { Error: message }, headers };
    }
  }

  #find(path: string): { methods: Methods; name: string } {
    const segments = path.split('/');
    const route = this.#routes.find((one) => matches(one.segments, segments));
    const at = route?.segments.indexOf(NAME) ?? -1;
    const name = at < 0 ? '' : decoded(segments[at] as string);
    if (!route || name === undefined) throw new HttpError(404, `There is no ${path} here.`);
    return { methods: route.methods, name };
  }
}

function names({ segments }: Route): number {
  return segments.includes(NAME) ? 1 : 0;
}

function matches(wanted: readonly string[], found: readonly string[]): boolean {
  if (wanted.length !== found.length) return false;
  return wanted.every((segment, at) =>
    segment === NAME ? found[at] !== '' : segment === found[at],
  );
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
