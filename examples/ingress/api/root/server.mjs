// A web server on a unix socket: it has no port, and no network. /api was taken off before requests come here.
import { mkdirSync } from 'node:fs';
import http from 'node:http';
import { hostname } from 'node:os';

mkdirSync('/run/api', { recursive: true });
http
  .createServer((request, answer) => {
    const found = request.url === '/hello';
    const body = found
      ? { from: hostname(), you: request.headers['x-forwarded-for'] }
      : { error: `${request.url} is not here.` };
    answer.writeHead(found ? 200 : 404, { 'Content-Type': 'application/json' });
    answer.end(`${JSON.stringify(body)}\n`);
  })
  .listen('/run/api/http.sock', () => console.log('the API is up'));
