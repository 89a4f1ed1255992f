// The provider: an ordinary unix socket server. It knows nothing of pv-xconnect.
import { mkdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { hostname } from 'node:os';
import { dirname } from 'node:path';

const path = '/run/greeting/greeting.sock';
mkdirSync(dirname(path), { recursive: true });
rmSync(path, { force: true });

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  let name = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    name += chunk;
  });
  // The client half-closes after its name; our answer still reaches it.
  socket.on('end', () => socket.end(`Hello ${name.trim()}, this is ${hostname()}.\n`));
});
server.listen(path, () => console.log(`listening at ${path}`));
