/** Traffic of sockets that JavaScript holds, whose system calls fail: run with faults.c loaded. Ends with "done FAULTS". */
import { closeSync, openSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { ByteChannel } from '../../../dist/relay/byte-channel.js';
import { Channel } from '../../../dist/relay/channel.js';
import { native, SOCKET_TYPES } from '../../../dist/relay/native.js';
import { Acceptor } from '../../../dist/relay/socket.js';
import { tryAll } from './order.mjs';

/** What each may say, of which nothing is lost; then what may end the one connection that it is about. */
const PASSING = {
  recvmsg: ['EINTR', 'ENOMEM', 'ENOBUFS'],
  sendmsg: ['EINTR', 'ENOMEM', 'ENOBUFS', 'ETOOMANYREFS'],
  send: ['EINTR', 'ENOMEM', 'ENOBUFS'],
  accept4: ['EINTR', 'EMFILE', 'ENFILE', 'ENOMEM', 'ECONNABORTED', 'ENETDOWN'],
  epoll_ctl: ['ENOMEM', 'ENOSPC'],
};
const ENDING = { recvmsg: ['EIO', 'ECONNRESET'], sendmsg: ['EIO'], send: ['EIO', 'EPIPE'] };
const LARGE = 300_000;

let accepted;
const acceptor = new Acceptor(Number(process.argv[2]));
acceptor.onSocket = (socket) => accepted(socket);

/** Bytes and descriptors: true when all has come, false when it was closed. */
function channels(records) {
  const pair = native.socketPair(SOCKET_TYPES[records ? 'seqpacket' : 'stream']);
  const [client, server] = pair.map((fd) => new Channel(fd, records));
  const size = records ? 60_000 : LARGE;
  return new Promise((resolve) => {
    let [bytes, descriptors] = [0, 0];
    const end = (whole) => {
      client.close();
      server.close();
      resolve(whole);
    };
    server.onData = (data, fds) => {
      for (const fd of fds) closeSync(fd);
      descriptors += fds.length;
      bytes += data.length;
      if (bytes === size + 4) end(descriptors === 1);
    };
    server.onEnd = client.onEnd = () => end(false);
    client.write(Buffer.alloc(size));
    client.write(Buffer.from('more'), [openSync('/dev/null')]);
  });
}

/** Bytes alone, there and back: a second write follows when the first one is with the kernel. */
function byteChannels() {
  const [client, server] = native.socketPair(SOCKET_TYPES.stream).map((fd) => new ByteChannel(fd));
  return new Promise((resolve) => {
    const end = (whole) => {
      client.close();
      server.close();
      resolve(whole);
    };
    const lost = () => end(false);
    const owner = { drained() {}, ended: lost, hungUp: lost, broken: lost };
    let [there, back] = [0, 0];
    const more = () => {
      client.owner.drained = () => {}; // of this one
      client.write(Buffer.from('more'), 0, 4);
    };
    server.owner = {
      ...owner,
      received(_buffer, from, to) {
        there += to - from;
        if (there === LARGE + 4) server.write(Buffer.from('answer'), 0, 6);
      },
    };
    client.owner = {
      ...owner,
      drained: more,
      received(_buffer, from, to) {
        back += to - from;
        if (back === 6) end(true);
      },
    };
    server.resume();
    client.resume();
    if (client.write(Buffer.alloc(LARGE), 0, LARGE)) more();
  });
}

async function entered() {
  const socket = new Promise((resolve) => {
    accepted = resolve;
  });
  const client = connect(process.argv[3]);
  (await socket).destroy();
  client.destroy();
  return true;
}

const all = () => Promise.all([channels(false), channels(true), byteChannels(), entered()]);
const open = () => readdirSync('/proc/self/fd').length;

for (let i = 0; i < 3; i++) await all();
const before = open();
const faults =
  (await tryAll('javascript', PASSING, false, all)) +
  (await tryAll('javascript', ENDING, true, all));
for (let i = 0; i < 100 && open() > before + 12; i++)
  await new Promise((resolve) => setTimeout(resolve, 50));
if (open() > before + 12) console.log(JSON.stringify({ left: open() - before }));
console.log('done', faults);
process.exit(0);
