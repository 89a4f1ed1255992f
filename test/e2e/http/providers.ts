/** Programs that answer HTTP in a container: those that people run, and one that says what it was asked. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContainer } from '../../support/container.js';

export type Where = { readonly socket: string } | { readonly port: number };

/**
 * Listens at its first argument, a path, a port or ADDRESS:PORT. Answers `/echo…` with what it was asked, as JSON; every
 * other path with `text`, its second argument. `/ws` is a WebSocket echo.
 */
export const NODE = `
const http = require('node:http');
const crypto = require('node:crypto');
const [where, text] = process.argv.slice(1);
let unwell = false;
let posts = 0; // read to their end
const server = http.createServer((asked, answer) => {
  const chunks = [];
  asked.on('data', (chunk) => chunks.push(chunk));
  asked.on('end', () => {
    const body = Buffer.concat(chunks);
    const { method, url, headers, rawHeaders, trailers } = asked;
    if (method === 'POST') posts++;
    if (url === '/posts') return answer.end(String(posts));
    if (url.startsWith('/unwell')) unwell = true;
    if (url.startsWith('/well')) unwell = false;
    if (url.startsWith('/health')) answer.statusCode = unwell ? 500 : 200;
    if (url.startsWith('/slow')) return; // never answers
    if (url.startsWith('/break')) return asked.socket.destroy();
    if (url.startsWith('/half')) return answer.write('begin', () => asked.socket.destroy());
    if (url.startsWith('/big')) return answer.end(Buffer.alloc(Number(url.slice(5)), 'x'));
    if (url.startsWith('/stream')) {
      answer.writeHead(200, { Trailer: 'X-Sum' });
      for (let i = 0; i < 10; i++) answer.write('line ' + i + '\\n');
      answer.addTrailers({ 'X-Sum': '10' });
      return answer.end();
    }
    if (!url.startsWith('/echo')) return answer.end(text);
    const sum = crypto.createHash('sha256').update(body).digest('hex');
    answer.setHeader('Content-Type', 'application/json');
    answer.end(JSON.stringify({ method, url, headers, rawHeaders, trailers, length: body.length, sum, pid: process.pid, text }));
  });
});
server.on('checkContinue', (asked, answer) => { answer.writeContinue(); server.emit('request', asked, answer); });
server.on('upgrade', (asked, socket, head) => {
  const accept = crypto.createHash('sha1').update(asked.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n');
  let held = head;
  const look = () => {
    for (;;) { // frames of a client: masked; sent back as they are, unmasked
      if (held.length < 2) return;
      let at = 2, length = held[1] & 127;
      if (length === 126) { if (held.length < 4) return; length = held.readUInt16BE(2); at = 4; }
      else if (length === 127) { if (held.length < 10) return; length = Number(held.readBigUInt64BE(2)); at = 10; }
      if (held.length < at + 4 + length) return;
      const mask = held.subarray(at, at + 4), data = Buffer.from(held.subarray(at + 4, at + 4 + length));
      for (let i = 0; i < length; i++) data[i] ^= mask[i & 3];
      const front = Buffer.from(held.subarray(0, at));
      front[1] &= 127;
      socket.write(Buffer.concat([front, data]));
      held = held.subarray(at + 4 + length);
    }
  };
  socket.on('data', (chunk) => { held = Buffer.concat([held, chunk]); look(); });
  socket.on('end', () => socket.end());
  socket.on('error', () => socket.destroy());
  look();
});
const [port, host = '127.0.0.1'] = where.split(':').reverse();
const listen = /^\\d+$/.test(port) ? { port: Number(port), host } : { path: where };
if (listen.path) {
  require('node:fs').mkdirSync(require('node:path').dirname(where), { recursive: true });
  require('node:fs').rmSync(where, { force: true });
}
server.keepAliveTimeout = 60000;
server.listen(listen, () => console.log('ready'));
`;

export function startNode(container: TestContainer, where: Where, text: string): ChildProcess {
  return container.run(['node', '-e', NODE, whereText(where), text]);
}

/** Serves /tmp/site, whose page is `text`; takes uploads by PUT below /upload. */
export function startNginx(container: TestContainer, where: Where, text: string): ChildProcess {
  const folder = join(container.rootDir, 'tmp');
  mkdirSync(join(folder, 'site/upload'), { recursive: true });
  mkdirSync(join(container.rootDir, 'run/web'), { recursive: true });
  writeFileSync(join(folder, 'site/index.html'), text);
  if ('socket' in where) rmSync(join(container.rootDir, where.socket), { force: true }); // nginx would not
  const listen = 'socket' in where ? `unix:${where.socket}` : `127.0.0.1:${where.port}`;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path /tmp/${name};`,
  );
  const conf = `daemon off; master_process off; user root; worker_processes 1; pid /tmp/nginx.pid; error_log stderr crit;
    events { worker_connections 4096; }
    http { access_log off; keepalive_requests 1000000; client_max_body_size 0; ${temporary.join(' ')}
      server { listen ${listen}; root /tmp/site;
        location /upload/ { dav_methods PUT DELETE; create_full_put_path on; dav_access all:rw; } } }`;
  writeFileSync(join(folder, 'nginx.conf'), conf);
  return container.run(['nginx', '-c', '/tmp/nginx.conf']);
}

/** python's own http.server, which speaks HTTP/1.0, in /tmp/site. */
export function startPython(container: TestContainer, port: number, text: string): ChildProcess {
  const folder = join(container.rootDir, 'tmp/site');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'index.html'), text);
  const bind = ['--bind', '127.0.0.1', '--directory', '/tmp/site'];
  return container.run(['python3', '-m', 'http.server', ...bind, String(port)]);
}

function whereText(where: Where): string {
  return 'socket' in where ? where.socket : String(where.port);
}
