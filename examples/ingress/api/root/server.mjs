// A web server on a unix socket, without a network. The prefix /api is removed before requests come here.
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
