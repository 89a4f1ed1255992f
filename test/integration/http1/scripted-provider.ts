/** A provider that answers the request on its first connection with given bytes, and any other with `next`. */
import type net from 'node:net';

const NEXT = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext';

export class ScriptedProvider {
  #bytes: string | null = null;
  #stays = false;
  readonly #sockets = new Set<net.Socket>();

  /** What comes next. `stays`: the connection is kept open behind it. */
  script(bytes: string, stays: boolean): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#bytes = bytes;
    this.#stays = stays;
  }

  readonly accept = (socket: net.Socket): void => {
    this.#sockets.add(socket);
    let request = '';
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      request += chunk.toString('latin1');
      if (!request.includes('\r\n\r\n')) return;
      request = '';
      const bytes = this.#bytes;
      this.#bytes = null;
      if (bytes === null) socket.write(NEXT);
      else if (this.#stays) socket.write(bytes, 'latin1');
      else socket.end(bytes, 'latin1');
    });
  };
}

/** The request that is answered with the script, and one behind it on the same connection. */
export function twoRequests(method = 'GET'): string {
  return [`${method} /first`, 'GET /next']
    .map((line) => `${line} HTTP/1.1\r\nHost: a\r\n\r\n`)
    .join('');
}

/**
 * The answers in what a client read, as the tables have them: status and body of each; `cut` where one is not
 * complete. `head`: the first has no body.
 */
export function reading(text: string, head: boolean): string {
  const found: string[] = [];
  let rest = text;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(rest)?.[1];
    if (end < 0 || !status) return [...found, 'garbage'].join(', ');
    const headers = rest.slice(0, end).toLowerCase();
    const body = bodyOf(status, headers, rest.slice(end + 4), head && found.length === 0);
    rest = body.rest;
    found.push(body.text === '' ? status : `${status} ${body.text}`);
  }
  return found.join(', ') || 'nothing';
}

function bodyOf(status: string, headers: string, text: string, head: boolean) {
  if (head || /^(1..|204|304)$/.test(status)) return { text: '', rest: text };
  if (status[0] !== '2') return { text: '', rest: skipPage(headers, text) };
  if (headers.includes('transfer-encoding: chunked')) return chunksOf(text);
  const length = /content-length: (\d+)/.exec(headers)?.[1];
  if (length === undefined) return { text, rest: '' };
  const body = text.slice(0, Number(length));
  const cut = body.length < Number(length) ? ' (cut)' : '';
  return { text: body + cut, rest: text.slice(Number(length)) };
}

function skipPage(headers: string, text: string): string {
  const length = /content-length: (\d+)/.exec(headers)?.[1];
  return length === undefined ? '' : text.slice(Number(length));
}

function chunksOf(text: string): { text: string; rest: string } {
  let body = '';
  let rest = text;
  for (;;) {
    const size = /^([0-9a-f]+)\r\n/i.exec(rest);
    if (!size) return { text: `${body} (cut)`.trim(), rest: '' };
    const length = Number.parseInt(size[1] as string, 16);
    rest = rest.slice(size[0].length);
    if (length === 0) {
      const end = rest.indexOf('\r\n');
      return end < 0
        ? { text: `${body} (cut)`, rest: '' }
        : { text: body, rest: rest.slice(end + 2) };
    }
    body += rest.slice(0, length);
    rest = rest.slice(length + 2);
  }
}
