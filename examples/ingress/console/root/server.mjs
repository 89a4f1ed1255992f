// A console over TCP, on port 22 of its own network: it speaks first, as SSH does, then answers line by line.
// What it knows of its client is the first line of each connection, the PROXY protocol: it asks for that in its
// manifest.
import net from 'node:net';
import { hostname, uptime } from 'node:os';
import { createInterface } from 'node:readline';

const COMMANDS = {
  hostname: () => hostname(),
  uptime: () => `${Math.round(uptime())} s`,
  help: () => Object.keys(COMMANDS).join(' '),
};

net
  .createServer({ allowHalfOpen: true }, (socket) => {
    let client = '';
    socket.on('error', () => socket.destroy());
    const lines = createInterface(socket);
    lines.on('line', (line) => {
      if (client === '') {
        const [, , address, , port] = line.split(' ');
        client = `${address}:${port}`;
        socket.write(`CONSOLE-1.0 ${hostname()}, you are ${client}\n`);
        return;
      }
      const answer = Object.hasOwn(COMMANDS, line)
        ? COMMANDS[line]()
        : `no command ${line}: try help`;
      socket.write(`${answer}\n`);
    });
    lines.on('close', () => socket.end('bye\n'));
  })
  .listen(22, () => console.log('the console is up'));
