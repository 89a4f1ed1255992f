// A WebSocket server that echoes messages of at most 64 KiB. It has only the part of RFC 6455 that this needs.
import { createHash } from 'node:crypto';
import http from 'node:http';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455, 1.3
const [CLOSE, PING, PONG] = [0x8, 0x9, 0xa];

/** The first frame in the buffer; null while it is not all there. Frames of clients are masked (5.3). */
function readFrame(buffer) {
  if (buffer.length < 2) return null;
  const short = buffer[1] & 0x7f;
  const [at, length] =
    short === 126 && buffer.length >= 4 ? [4, buffer.readUInt16BE(2)] : [2, short];
  if (short === 127) throw new Error('a message over 64 KiB');
  if ((short === 126 && buffer.length < 4) || buffer.length < at + 4 + length) return null;
  const mask = buffer.subarray(at, at + 4);
  const payload = buffer.subarray(at + 4, at + 4 + length).map((byte, i) => byte ^ mask[i % 4]);
  return { first: buffer[0], payload, size: at + 4 + length };
}

function frame(first, payload) {
  const head = payload.length < 126 ? [first, payload.length] : [first, 126, 0, 0];
  const bytes = Buffer.from(head);
  if (bytes.length === 4) bytes.writeUInt16BE(payload.length, 2);
  return Buffer.concat([bytes, payload]);
}

function echo(socket) {
  let buffer = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    try {
      for (let got = readFrame(buffer); got; got = readFrame(buffer)) {
        buffer = buffer.subarray(got.size);
        const kind = got.first & 0x0f;
        if (kind === PONG) continue;
        socket.write(frame(kind === PING ? 0x80 | PONG : got.first, got.payload));
        if (kind === CLOSE) socket.end();
      }
    } catch {
      socket.end(frame(0x80 | CLOSE, Buffer.from([0x03, 0xf1]))); // 1009: too big
    }
  });
}

http
  .createServer((_request, answer) => answer.writeHead(426, { Upgrade: 'websocket' }).end())
  .on('upgrade', (request, socket) => {
    const key = `${request.headers['sec-websocket-key']}${GUID}`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    echo(socket);
  })
  .listen(9000, () => console.log('the echo is up'));
