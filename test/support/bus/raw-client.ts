/** A D-Bus client that sends exactly what the test gives it, when the test does, and reads everything. */
import net from 'node:net';
import { type Header, readFrame, readHeader } from '../../../src/plugins/dbus/header.js';
import { BUS, BUS_PATH, writeMessage } from '../../../src/plugins/dbus/message-writer.js';
import { eventually } from '../wait.js';

/** The authentication of a client that leaves its identity to the kernel's credential. */
export const LOGIN = Buffer.from('\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n');
const GREETING = /OK [0-9a-f]{32}\r\n/;

export class RawClient {
  readonly socket: net.Socket;
  /** It was closed by the other side, or by the test. */
  isOver = false;
  #said = Buffer.alloc(0);

  constructor(path: string) {
    this.socket = net.connect(path);
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.isOver = true;
    });
    this.socket.on('data', (chunk: Buffer) => {
      this.#said = Buffer.concat([this.#said, chunk]);
    });
  }

  /** A client that has authenticated and sent BEGIN. */
  static async begun(path: string): Promise<RawClient> {
    const client = new RawClient(path);
    client.send(LOGIN);
    await eventually(() => {
      if (!client.isIn) throw new Error('the bus let nobody in');
    });
    return client;
  }

  /** A client whose Hello, with the serial 1, was answered. */
  static async registered(path: string): Promise<RawClient> {
    const client = await RawClient.begun(path);
    client.send(toBus(1, 'Hello'));
    await client.answer(1);
    return client;
  }

  /** The other side has accepted the identity. */
  get isIn(): boolean {
    return GREETING.test(this.text);
  }

  /** All that was received, one character a byte. */
  get text(): string {
    return this.#said.toString('latin1');
  }

  /** In one write. */
  send(...messages: Buffer[]): void {
    this.socket.write(Buffer.concat(messages));
  }

  /** The headers of the whole messages that were received. */
  get heard(): Header[] {
    const headers: Header[] = [];
    const login = GREETING.exec(this.text);
    if (!login) return headers;
    for (let at = login.index + login[0].length; at + 16 <= this.#said.length; ) {
      const frame = readFrame(this.#said, at);
      if (typeof frame === 'string') throw new Error(frame);
      if (at + frame.total > this.#said.length) break;
      const header = readHeader(this.#said, at, frame);
      if (typeof header === 'string') throw new Error(header);
      headers.push(header);
      at += frame.total;
    }
    return headers;
  }

  answerTo(serial: number): Header | undefined {
    return this.heard.find(({ replySerial }) => replySerial === serial);
  }

  answer(serial: number): Promise<Header> {
    return eventually(() => {
      const answer = this.answerTo(serial);
      if (!answer) throw new Error(`${serial} is not answered`);
      return answer;
    });
  }
}

/** A call of the bus itself. */
export function toBus(serial: number, member: string, ...values: (string | number)[]): Buffer {
  const to = { path: BUS_PATH, interface: BUS, destination: BUS };
  return writeMessage({ type: 1, serial, member, ...to }, values);
}

/** A call of somebody on it. */
export function toPeer(serial: number, destination: string, member = 'Get', flags = 0): Buffer {
  const what = { type: 1, flags, path: '/', interface: destination, member };
  return writeMessage({ ...what, serial, destination });
}
