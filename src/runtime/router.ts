/**
 * Finds the handler of a request. An unknown path is 404, a known one with another method 405; a handler refuses
 * by throwing a Refusal.
 */
import { type Answer, Refusal, type Request, refused } from './answer.js';

/** `name`: what stands for `:name` in the route's path. */
export type Handler = (request: Request, name: string) => Answer | Promise<Answer>;
export type Methods = Readonly<Record<string, Handler>>;

export class Router {
  readonly #routes: ReadonlyMap<string, Methods>;

  /** By path; a path may end in `/:name`. */
  constructor(routes: Readonly<Record<string, Methods>>) {
    this.#routes = new Map(Object.entries(routes));
  }

  /** Rejects for bugs only. */
  async handle(request: Request): Promise<Answer> {
    try {
      const { methods, name } = this.#find(request.path);
      if (!Object.hasOwn(methods, request.method)) {
        const allowed = Object.keys(methods).join(', ');
        const message = `${request.method} is not possible on ${request.path}, only ${allowed} is.`;
        throw new Refusal(405, message, { Allow: allowed });
      }
      return await (methods[request.method] as Handler)(request, name);
    } catch (thrown) {
      if (thrown instanceof Refusal) return refused(thrown);
      throw thrown;
    }
  }

  #find(path: string): { methods: Methods; name: string } {
    const exact = this.#routes.get(path);
    if (exact) return { methods: exact, name: '' };
    const slash = path.lastIndexOf('/');
    const named = this.#routes.get(`${path.slice(0, slash)}/:name`);
    const name = named && decoded(path.slice(slash + 1));
    if (!named || !name) throw new Refusal(404, `There is no ${path} here.`);
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
