// A client by the package ws: sends messages of all the sizes that a frame's head can have, and expects them back.
import { WebSocket } from 'ws';

const messages = ['', 'hello', 'x'.repeat(125), 'y'.repeat(65_535), 'z'.repeat(2_000_000)];
const socket = new WebSocket(process.argv[2]);
let count = 0;

socket.on('open', () => socket.send(messages[0]));
socket.on('message', (data) => {
  if (data.toString() !== messages[count]) throw new Error(`message ${count} came back changed`);
  count++;
  if (count < messages.length) socket.send(messages[count]);
  else socket.close();
});
socket.on('close', (code) => console.log(`${count} messages came back, closed with ${code}`));
