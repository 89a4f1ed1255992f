/** What cases of HTTP/2 are put together from: a case, what may come of it, the frames that most of them send. */
import {
  type Bytes,
  block,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  PING,
  POST,
  REQUEST,
} from './http2-client.js';

export interface FrameCase {
  readonly name: string;
  /** Behind the preface and our SETTINGS, unless `raw`. */
  readonly sent: readonly Bytes[];
  /** Any of them; what comes before is of no matter. */
  readonly expected: readonly string[];
  readonly raw?: boolean;
  /** Node.js (nghttp2) does otherwise, so: and why that is no harm. */
  readonly deviates?: readonly [found: string, reason: string];
  /** The fields that the provider is sent, names and values in turn. */
  readonly seen?: readonly string[];
}

export const connection = (code: string) => [`GOAWAY ${code}`, 'closed'];
/** Of a stream: a stream error, or one of the connection. */
export const stream = (code: string, id = 1) => [`RST_STREAM ${id} ${code}`, ...connection(code)];
export const answered = (id = 1, status = 200) => [`answer ${id} ${status}`];

export const WHOLE = END_STREAM | END_HEADERS;
export const headers = (flags: number, id: number, payload: Bytes) =>
  frame(HEADERS, flags, id, payload);
export const get = (id = 1, ...more: [string, string][]) =>
  headers(WHOLE, id, block(...REQUEST, ...more));
export const post = (id = 1, ...more: [string, string][]) =>
  headers(END_HEADERS, id, block(...POST, ...more));
export const without = (name: string) => block(...REQUEST.filter(([one]) => one !== name));
export const ping = frame(PING, 0, 0, '12345678');
export const PONG = ['PING 12345678'];
export const IGNORED = 'it is ignored: no request comes of it, and the connection goes on';

export const one = (
  name: string,
  sent: readonly Bytes[],
  expected: readonly string[],
  deviates?: readonly [string, string],
): FrameCase => ({ name, sent, expected, ...(deviates ? { deviates } : {}) });

/** Cases by section; a case's name begins with it. */
export class FrameCases {
  readonly all: FrameCase[] = [];

  readonly section = (title: string, ...cases: FrameCase[]): void => {
    this.all.push(...cases.map((one) => ({ ...one, name: `${title}: ${one.name}` })));
  };
}
