/** Traffic through a relay whose system calls fail, one by one: run with faults.c loaded. Ends with "done FAULTS". */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { Channel } from '../../../dist/relay/channel.js';
import { native, PACKAGE_ROOT, SOCKET_TYPES } from '../../../dist/relay/native.js';
import { Relay } from '../../../dist/relay/relay.js';
import { tryAll } from './order.mjs';

/** What each may say, of which nothing is lost; then what may end the one connection that it is about. */
const PASSING = {
  recvmsg: ['EINTR', 'ENOMEM', 'ENOBUFS'],
  recv: ['EINTR', 'ENOMEM'],
  sendmsg: ['EINTR', 'ENOMEM', 'ENOBUFS', 'ETOOMANYREFS'],
  send: ['EINTR', 'ENOMEM', 'ENOBUFS'],
  splice: ['EINTR', 'ENOMEM', 'EINVAL', 'ENOSYS', 'EPERM', 'EIO'],
  accept4: ['EINTR', 'EMFILE', 'ENFILE', 'ENOMEM', 'ECONNABORTED', 'ENETDOWN', 'EOPNOTSUPP'],
  epoll_ctl: ['ENOMEM', 'ENOSPC'],
  pipe2: ['EMFILE', 'ENFILE', 'ENOMEM'],
  ioctl: ['EINVAL', 'ENOTTY'],
  read: ['EINTR'],
};
const ENDING = {
  recvmsg: ['EIO', 'ECONNRESET'],
  recv: ['EIO', 'ECONNRESET'],
  sendmsg: ['EIO'],
  send: ['EIO'],
  getsockopt: ['EINVAL', 'ENOBUFS'], // as of what is no socket
};
const LARGE = 300_000;

/** As nobody with privileges, and without a broker. */
const USER = 64_999;
const [near, far] = native.socketPair(SOCKET_TYPES.seqpacket);
const nowhere = openSync('/dev/null');
const child = spawn(`${PACKAGE_ROOT}/build/Release/pvx-relay`, [], {
  ...{ uid: USER, gid: USER },
  stdio: ['ignore', 'inherit', 'inherit', nowhere, far],
});
for (const fd of [nowhere, far]) closeSync(fd);
const relay = new Relay(near, { incarnation: 1 });
await relay.hello();
const options = { type: 'stream', patienceMs: 1000, maxConnections: 100, consumerHandle: 0 };
Object.assign(options, { memory: 64 * 2 ** 20 });
const links = {
  fds: relay.link({ ...options, fds: true }),
  bytes: relay.link({ ...options, fds: false }),
  records: relay.link({ ...options, fds: true, type: 'seqpacket' }),
};
const listener = Number(process.argv[2]);
const accepted = [];
const door = relay.link(
  { ...options, fds: false },
  { onHanded: (fd) => (accepted.shift() ?? closeSync)(fd) },
);
door.listen(listener, 'hand', null);

/** One end says a long and a short thing, the other answers; true when all has come, false when it was closed. */
function talk(kind, [near, far]) {
  const records = kind === 'records';
  const [client, server] = [new Channel(near, records), new Channel(far, records)];
  const size = records ? 60_000 : LARGE;
  return new Promise((resolve) => {
    let [there, back, fds] = [0, 0, 0];
    const end = (whole) => {
      client.close();
      server.close();
      resolve(whole);
    };
    const closing = (given) => {
      fds += given.length;
      for (const fd of given) closeSync(fd);
    };
    server.onData = (data, given) => {
      closing(given);
      there += data.length;
      if (there === size + 4) server.write(Buffer.alloc(size));
    };
    client.onData = (data, given) => {
      closing(given);
      back += data.length;
      if (back === size) end(kind === 'bytes' || fds === 1);
    };
    server.onEnd = client.onEnd = () => end(false);
    client.write(Buffer.alloc(size));
    client.write(Buffer.from('more'), kind === 'bytes' ? [] : [openSync('/dev/null')]);
  });
}

function joined(kind) {
  const type = SOCKET_TYPES[kind === 'records' ? 'seqpacket' : 'stream'];
  const [client, near] = native.socketPair(type);
  const [server, far] = native.socketPair(type);
  links[kind].join(near, far);
  return talk(kind, [client, server]);
}

/** Through the listener. */
async function entered() {
  const { connect } = await import('node:net');
  const handed = new Promise((resolve) => accepted.push(resolve));
  const client = connect(process.argv[3]);
  const fd = await handed;
  client.destroy();
  native.socketClose(fd);
  return true;
}

const all = () => Promise.all([joined('fds'), joined('bytes'), joined('records'), entered()]);
const countOf = (pid) => readdirSync(`/proc/${pid}/fd`).length;
const open = () => countOf('self') + countOf(child.pid);

for (let i = 0; i < 3; i++) await all();
const before = open();
const faults =
  (await tryAll('relay', PASSING, false, all)) + (await tryAll('relay', ENDING, true, all));
for (let i = 0; i < 100 && open() > before + 12; i++)
  await new Promise((resolve) => setTimeout(resolve, 50));
if (open() > before + 12) console.log(JSON.stringify({ left: open() - before }));
console.log('done', faults);
child.kill();
process.exit(0);
