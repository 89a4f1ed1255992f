/**
 * The HTTP server of the metrics: `/metrics` as the daemon's control socket has it, for who can't reach that. What is
 * asked is never passed on, but for the form that the client would take.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Got } from '../cli/control-client.js';
import { isNameOf } from './gate.js';
import { readingServer, send } from './reading-server.js';

const HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  Vary: 'Accept',
} as const;
const MAX_CONNECTIONS = 32;
/** Scrapes at a time: each is held in memory. */
const MAX_SCRAPES = 4;

export interface MetricsServerOptions {
  /** Names of this machine, no other one of which is answered to, see gate.ts; null: any is. */
  readonly names: readonly string[] | null;
  /** The metrics now, in a form that the client accepts. Never rejects. */
  readonly scrape: (
    accept: string | undefined,
  ) => Promise<Got<{ readonly type: string; readonly body: string }>>;
}

export function metricsServer({ names, scrape }: MetricsServerOptions): Server {
  let scrapes = 0;

  const answer = async ({ url = '', headers }: IncomingMessage, response: ServerResponse) => {
    const path = url.replace(/\?.*$/s, '');
    if (names && !isNameOf(names, headers.host)) {
      say(response, 421, 'This is no name of this machine: use its address, or localhost.');
    } else if (path !== '/metrics') {
      say(response, 404, 'There is only /metrics here.');
    } else if (scrapes >= MAX_SCRAPES) {
      say(response, 503, 'Too much is asked at a time.');
    } else {
      scrapes++;
      const got = await scrape(headers.accept);
      scrapes--;
      if (got.ok) send(response, 200, got.value.type, Buffer.from(got.value.body));
      else say(response, 503, got.error);
    }
  };

  return readingServer({
    maxConnections: MAX_CONNECTIONS,
    headers: HEADERS,
    refuse: (response) => say(response, 405, 'Metrics can only be read.'),
    answer,
  });
}

function say(response: ServerResponse, status: number, sentence: string): void {
  send(response, status, 'text/plain; charset=utf-8', Buffer.from(`${sentence}\n`));
}
