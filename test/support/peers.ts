/**
 * A provider and a client inside containers without a process there: their sockets are made by the broker, and
 * spoken over from the test. Enough wherever it doesn't matter what program is at the end.
 */
import net from 'node:net';
import type { Broker } from '../../src/broker/client.js';

export interface EchoProvider {
  /** Connections that it has, or had. */
  readonly connections: net.Socket[];
  close(): Promise<void>;
}

/** Listens at `path` in the container and sends back what it reads, until the end of the stream. */
export async function startEcho(
  broker: Broker,
  handle: number,
  path: string,
): Promise<EchoProvider> {
  const planted = await broker.listenUnix(handle, 'stream', path);
  if (!planted.ok) throw new Error(`no provider at ${path}: ${planted.errno}`);
  const connections: net.Socket[] = [];
  const server = new net.Server({ allowHalfOpen: true }, (socket) => {
    connections.push(socket);
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen({ fd: planted.value.fd });
  return {
    connections,
    close: async () => {
      for (const socket of connections) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await broker.remove(planted.value.plant);
    },
  };
}

/** Connects to `path` in the container, as its root. */
export async function dial(broker: Broker, handle: number, path: string): Promise<net.Socket> {
  const made = await broker.connectUnix(handle, 'stream', path, 0, 0);
  if (!made.ok) throw new Error(`no connection to ${path}: ${made.errno}`);
  return new net.Socket({ fd: made.value, readable: true, writable: true, allowHalfOpen: true });
}

/** The same to a target of either kind: a path, or an IPv4 address and port in the container's network. */
export async function dialAt(broker: Broker, handle: number, target: string): Promise<net.Socket> {
  const [, ip, port] = /^([\d.]+):(\d+)/.exec(target) ?? [];
  if (!ip) return dial(broker, handle, target);
  const made = await broker.connectTcp(handle, { ip, port: Number(port) });
  if (!made.ok) throw new Error(`no connection to ${target}: ${made.errno}`);
  return new net.Socket({ fd: made.value, readable: true, writable: true, allowHalfOpen: true });
}

/** Everything until the end of the stream, or until it broke off. */
export async function readAll(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('end', resolve);
    socket.once('close', () => resolve());
    socket.once('error', () => resolve());
  });
  return Buffer.concat(chunks);
}

/** One request and its whole answer. */
export async function ask(socket: net.Socket, text: string): Promise<string> {
  const answer = readAll(socket);
  socket.end(text);
  const bytes = await answer;
  socket.destroy();
  return bytes.toString();
}
