/** HTTP/1.x, the two directions of one connection: heads as lines, bodies as the bytes that came. */
import {
  BodyReader,
  COUNTED,
  DEFAULT_LIMITS,
  type Limits,
  MORE,
  NO_BODY,
  RequestHead,
  ResponseHead,
} from '../http1/index.js';
import { type Decoder, Keeping, type Piece, SNAP } from './decoder.js';

const LIMITS: Limits = { ...DEFAULT_LIMITS, head: SNAP, fields: 1_000 };
/** Requests whose answers are still to come; a tap may have missed some of either. */
const MAX_ASKED = 1_000;
const NOWHERE = { data: () => undefined };

/** Shared: a head that was read is dealt with before the next one is read. */
const request = new RequestHead();
const answer = new ResponseHead();

export function httpDecoders(): Record<'provider' | 'consumer', Decoder> {
  const asked: string[] = [];
  return {
    provider: new HttpDecoder((bytes, at, body) => {
      const refused = request.read(bytes, at, bytes.length, LIMITS);
      if (refused !== null) return refused === MORE ? 'more' : 'unknown';
      if (asked.length < MAX_ASKED) asked.push(request.method);
      body.begin(request.body, request.framing.length);
      return request.to;
    }),
    consumer: new HttpDecoder((bytes, at, body) => {
      const refused = answer.read(bytes, at, bytes.length, LIMITS);
      if (refused !== null) return refused === MORE ? 'more' : 'unknown';
      const method = answer.status < 200 ? '' : asked.shift();
      const kind = answer.body(method ?? '');
      body.begin(kind, kind === COUNTED ? answer.framing.length : 0);
      return answer.to;
    }),
  };
}

/** Reads a head, and has the body begin that follows it. Returns the position behind the head. */
type ReadHead = (bytes: Buffer, at: number, body: BodyReader) => number | 'more' | 'unknown';

class HttpDecoder extends Keeping {
  readonly #read: ReadHead;
  readonly #body = new BodyReader();

  constructor(read: ReadHead) {
    super();
    this.#read = read;
  }

  protected step(all: Buffer, at: number, pieces: Piece[]): number | null {
    if (!this.#body.done) return this.#stepBody(all, at, pieces);
    const to = this.#read(all, at, this.#body);
    if (to === 'more' && all.length - at < SNAP) return null;
    if (typeof to === 'string') {
      pieces.push({ kind: 'bytes', bytes: all.subarray(at) });
      return all.length;
    }
    const bytes = all.subarray(at, to);
    const lines = bytes.toString('latin1').trim().split('\r\n');
    pieces.push({ kind: 'lines', lines, bytes });
    return to;
  }

  protected forget(): void {
    this.#body.begin(NO_BODY, 0);
  }

  #stepBody(all: Buffer, at: number, pieces: Piece[]): number {
    const read = this.#body.read(all, at, all.length, NOWHERE);
    const to = this.#body.fault || read === at ? all.length : read;
    if (this.#body.fault) this.forget();
    pieces.push({ kind: 'bytes', bytes: all.subarray(at, to) });
    return to;
  }
}
