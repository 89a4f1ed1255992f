// A web server on port 80 of a network that has nothing but its own loopback.
import { readFileSync } from 'node:fs';
import http from 'node:http';

const page = readFileSync(new URL('index.html', import.meta.url));

http
  .createServer((request, answer) => {
    if (request.url !== '/') {
      answer.writeHead(404).end('Only / is here.\n');
      return;
    }
    answer.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(page);
  })
  .listen(80, '127.0.0.1', () => console.log('the site is up'));
