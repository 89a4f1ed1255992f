/** A provider that counts what it takes for requests: Node's own server, which answers 418 to what is no HTTP. */
import http from 'node:http';
import type net from 'node:net';

export class CountingProvider {
  seen: string[] = [];
  readonly server = http.createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      this.seen.push(`${request.method} ${request.url}`);
      response.end('answer\n');
    });
  });

  constructor() {
    this.server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 418 No HTTP\r\nConnection: close\r\n\r\n');
    });
  }

  readonly accept = (socket: net.Socket): void => void this.server.emit('connection', socket);
}

/** What came back as the tables have it: statuses, and how many requests were seen where any was passed on. */
export function outcome(answer: string, seen: number): string {
  const statuses = [...answer.matchAll(/HTTP\/1\.[01] (\d{3})[ \r]/g)].map(([, status]) => status);
  if (statuses.length === 0) return 'nothing';
  const passed = statuses.some((status) => status === '200' || status === '418');
  return statuses.join(' ') + (passed || seen > 0 ? ` (${seen} seen)` : '');
}
