// The provider: an ordinary web server on a unix socket. It knows who asks from two headers, and checks no password.
import { mkdirSync, rmSync } from 'node:fs';
import http from 'node:http';

const path = '/run/thermostat/http.sock';
let target = 20;

const server = http.createServer((request, answer) => {
  const { 'x-pv-client': client, 'x-pv-role': role } = request.headers;
  const say = (body) => {
    console.log(`${client} as ${role}: ${request.method} ${request.url}`);
    answer.writeHead(200, { 'Content-Type': 'application/json' });
    answer.end(`${JSON.stringify({ ...body, you: client, role })}\n`);
  };
  if (request.method !== 'PUT') {
    say(request.url === '/target' ? { target } : { temperature: 19.5 });
    return;
  }
  let text = '';
  request.on('data', (chunk) => {
    text += chunk;
  });
  request.on('end', () => {
    target = Number(text);
    say({ target });
  });
});

mkdirSync('/run/thermostat', { recursive: true });
rmSync(path, { force: true });
server.listen(path, () => console.log(`listening at ${path}`));
