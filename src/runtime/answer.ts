/**
 * What a request is answered with, apart from any socket.
 */
export interface Request {
  readonly method: string;
  /** Without query. */
  readonly path: string;
  /** Reads and parses the body; rejects with a Refusal. */
  json(): Promise<unknown>;
}

export interface Answer {
  readonly status: number;
  /** A string is sent as text, anything else as JSON. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Thrown by a handler, and answered as `{"Error": message}`: the one exception that is no bug. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.headers = headers;
  }
}

export function ok(body: unknown): Answer {
  return { status: 200, body };
}

export function refused({ status, message, headers }: Refusal): Answer {
  return { status, body: { Error: message }, headers };
}
