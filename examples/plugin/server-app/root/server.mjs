// The provider reads two lines: the first is the plugin's, the second what the client wrote.
import { mkdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';

const path = '/run/greeting/greeting.sock';
mkdirSync(dirname(path), { recursive: true });
rmSync(path, { force: true });

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  let text = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('end', () => {
    const [who, said] = text.split('\n');
    socket.end(`You are ${who}, and say: ${said}\n`);
  });
});
server.listen(path, () => console.log(`listening at ${path}`));
