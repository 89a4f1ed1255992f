/**
 * The HTTP server of the page: three files, a feed, and the details of a link. Everything is behind the gate, is only
 * read, and is a fixed answer or JSON; no name of a container ever becomes part of a page.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Feed } from './feed.js';
import type { Gate } from './gate.js';
import { readingServer, send } from './reading-server.js';
import type { Details } from './wire.js';

/** Its style is the one inline style that the policy allows, by its digest. */
const REFUSED_STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:20vh auto;padding:0 1.5em}h1{font-size:1.25em}';
const REFUSED_DIGEST = createHash('sha256').update(REFUSED_STYLE).digest('base64');

const HEADERS = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'sha256-${REFUSED_DIGEST}'`,
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Cache-Control': 'no-store',
} as const;

const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
};

const MAX_CONNECTIONS = 128;
/** Details that are being read at a time. */
const MAX_READING = 8;

export interface PageServerOptions {
  readonly gate: Gate;
  readonly feed: Feed;
  /** Where the page's files are. */
  readonly folder: string;
  /** Null: there is no such link. Rejects with a sentence where the daemon can't be asked. */
  readonly details: (consumer: string, name: string, target: string) => Promise<Details | null>;
}

export function pageServer({ gate, feed, folder, details }: PageServerOptions): Server {
  const files = new Map(
    Object.entries(FILES).map(([path, [file, type]]) => [
      path,
      { body: readFileSync(join(folder, file)), type },
    ]),
  );
  let reading = 0;

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { path, query } = addressOf(request.url ?? '');
    const { host, cookie } = request.headers;
    const admission = gate.admit({ host, cookie, token: query.get('token') });
    if (!admission.admitted) {
      refuse(response, admission.status, admission.why);
      return;
    }
    if (admission.cookie !== undefined) response.setHeader('Set-Cookie', admission.cookie);
    const file = files.get(path);
    if (file) send(response, 200, file.type, file.body);
    else if (path === '/feed' && request.method === 'GET') listen(response);
    else if (path === '/link') await sendDetails(response, query);
    else refuse(response, 404, 'There is no such page here.');
  };

  const listen = (response: ServerResponse) => {
    if (feed.isFull)
      refuse(response, 503, 'Too many browsers look at this: close another one first.');
    else feed.add(response);
  };

  const sendDetails = async (response: ServerResponse, query: URLSearchParams) => {
    const [consumer, name, target] = ['consumer', 'name', 'target'].map((one) => query.get(one));
    if (consumer == null || name == null || target == null) {
      sendJson(response, 400, { error: 'A link has "consumer", "name" and "target".' });
      return;
    }
    if (reading >= MAX_READING) {
      sendJson(response, 503, { error: 'Too much is asked at a time.' });
      return;
    }
    reading++;
    try {
      const found = await details(consumer, name, target);
      if (found) sendJson(response, 200, found);
      else sendJson(response, 404, { error: 'This link is no longer in the graph.' });
    } catch (thrown) {
      sendJson(response, 502, { error: (thrown as Error).message });
    } finally {
      reading--;
    }
  };

  return readingServer({
    maxConnections: MAX_CONNECTIONS,
    headers: HEADERS,
    refuse: (response) => refuse(response, 405, 'This page can only be read.'),
    answer,
  });
}

/** An address that can't be read is none of ours. */
function addressOf(url: string): { readonly path: string; readonly query: URLSearchParams } {
  const [path = '', ...rest] = url.split('?');
  return { path, query: new URLSearchParams(rest.join('?')) };
}

/** A sentence as a page, of words that are ours alone. */
function refuse(response: ServerResponse, status: number, sentence: string): void {
  const body = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width"><title>pv-xconnect</title><style>${REFUSED_STYLE}</style>
<h1>pv-xconnect</h1><p>${sentence}</p></html>
`;
  send(response, status, 'text/html; charset=utf-8', Buffer.from(body));
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, 'application/json', Buffer.from(JSON.stringify(value)));
}
