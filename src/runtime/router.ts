/**
 * Finds the handler of a request and takes its answer, apart from any socket. An unknown path is 404, a known one with
 * another method 405; a handler refuses by throwing an HttpError.
 */
export interface ApiRequest {
  readonly method: string;
  /** Without query. */
  readonly path: string;
  /** Reads and parses the body; rejects with an HttpError. */
  json(): Promise<unknown>;
}

export interface ApiAnswer {
  readonly status: number;
  /** A string is sent as text, anything else as JSON. */
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

export class Router {
  readonly #routes: ReadonlyMap<string, Methods>;

  /** By path; a path may end in `/:name`. */
  constructor(routes: Readonly<Record<string, Methods>>) {
    this.#routes = new Map(Object.entries(routes));
  }

  /** Rejects for bugs only. */
  async handle(request: ApiRequest): Promise<ApiAnswer> {
    try {
      const { methods, name } = this.#find(request.path);
      if (!Object.hasOwn(methods, request.method)) {
        const allowed = Object.keys(methods).join(', ');
        const message = `${request.method} is not possible on ${request.path}, only ${allowed} is.`;
        throw new HttpError(405, message, { Allow: allowed });
      }
      return await (methods[request.method] as Handler)(request, name);
    } catch (thrown) {
      if (!(thrown instanceof HttpError)) throw thrown;
      const { status, message, headers } = thrown;
      return { status, body: { Error: message }, headers };
    }
  }

  #find(path: string): { methods: Methods; name: string } {
    const exact = this.#routes.get(path);
    if (exact) return { methods: exact, name: '' };
    const slash = path.lastIndexOf('/');
    const named = this.#routes.get(`${path.slice(0, slash)}/:name`);
    const name = named && decoded(path.slice(slash + 1));
    if (!named || !name) throw new HttpError(404, `There is no ${path} here.`);
    return { methods: named, name };
  }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
