// The consumer says nothing of who it is: another name would reach the server behind the line that it can't write.
import { existsSync } from 'node:fs';
import net from 'node:net';

const path = '/run/pv/services/greeting.sock';

function ask() {
  const socket = net.connect(path);
  socket.on('error', (error) => console.log(`no answer: ${error.message}`));
  socket.on('data', (chunk) => process.stdout.write(`the server says: ${chunk}`));
  socket.on('close', () => setTimeout(ask, 2_000));
  socket.end('I am root.\n');
}

function waitForSocket() {
  if (existsSync(path)) ask();
  else setTimeout(waitForSocket, 20);
}

console.log(`waiting for ${path}`);
waitForSocket();
