/**
 * What the HTTP servers of the page and of the metrics have in common: strangers reach both, so they have one set of
 * limits, and are only read.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';

const LIMITS = { headersTimeout: 10_000, requestTimeout: 15_000, maxHeaderSize: 16 * 1024 };
/** A client that reads nothing for so long has left; the feed of the page has a comment line in a shorter time. */
const STALLED_MS = 30_000;

export interface ReadingServerOptions {
  readonly maxConnections: number;
  /** Of each answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Answers what would do more than read, with 405. */
  readonly refuse: (response: ServerResponse) => void;
  readonly answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

export function readingServer(options: ReadingServerOptions): http.Server {
  const { maxConnections, headers, refuse, answer } = options;
  const server = http.createServer(LIMITS, (request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (request.method === 'GET' || request.method === 'HEAD') {
      void answer(request, response);
    } else {
      response.setHeader('Allow', 'GET, HEAD');
      refuse(response);
    }
  });
  server.maxConnections = maxConnections;
  server.timeout = STALLED_MS;
  return server;
}

export function send(response: ServerResponse, status: number, type: string, body: Buffer): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': body.length }).end(body);
}
