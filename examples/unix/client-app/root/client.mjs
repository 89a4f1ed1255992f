// The consumer: an ordinary unix socket client. The socket is there because its manifest asks for it.
import { existsSync } from 'node:fs';
import net from 'node:net';
import { hostname } from 'node:os';

const path = '/run/pv/services/greeting.sock';

function ask() {
  const socket = net.connect(path);
  socket.on('error', (error) => console.log(`no answer: ${error.message}`));
  socket.on('data', (chunk) => process.stdout.write(`the server says: ${chunk}`));
  socket.on('close', () => setTimeout(ask, 2_000));
  socket.end(`${hostname()}\n`);
}

function waitForSocket() {
  if (existsSync(path)) ask();
  else setTimeout(waitForSocket, 20);
}

console.log(`waiting for ${path}`);
waitForSocket();
