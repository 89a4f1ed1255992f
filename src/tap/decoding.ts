/** What a tap is told, decoded: each connection by itself, by the type of its link. Of many, the oldest are forgotten. */
import type { Passed } from '../mesh/attacher.js';
import { DbusDecoder } from './dbus-decoder.js';
import { type Decoder, type Piece, PLAIN } from './decoder.js';
import { httpDecoders } from './http-decoder.js';

/** Some bytes that passed, as `POST /tap` tells of them. */
export interface Told extends Omit<Passed, 'bytes'> {
  /** Of the link. */
  readonly target: string;
  /** Base64. */
  readonly bytes: string;
}

/** A piece with where it is from. `fds`: with the first piece of a read. */
export type Shown = Omit<Told, 'bytes'> & { readonly piece: Piece };

type Pair = Record<Passed['to'], Decoder>;

interface Connection {
  readonly pair: Pair;
  /** The last that passed. */
  readonly last: Omit<Told, 'bytes' | 'to'>;
}

const MAX_CONNECTIONS = 1_024;

export class Decoding {
  readonly #make: () => Pair;
  readonly #connections = new Map<string, Connection>();

  /** `type`: of the link. */
  constructor(type: string) {
    this.#make = decodersFor(type);
  }

  take({ bytes, ...told }: Told): Shown[] {
    const key = `${told.target} ${told.connection}`;
    const pair = this.#connections.get(key)?.pair ?? this.#make();
    this.#connections.delete(key); // the one that was used last is the last
    this.#connections.set(key, { pair, last: { ...told, fds: 0 } });
    const [oldest] = this.#connections.keys();
    if (this.#connections.size > MAX_CONNECTIONS) this.#connections.delete(oldest as string);
    return pair[told.to].feed(Buffer.from(bytes, 'base64')).map((piece, index) => {
      return { ...told, fds: index === 0 ? told.fds : 0, piece };
    });
  }

  /** Some bytes of some connections are missing, or no more come: what is there of what is not whole. */
  rest(): Shown[] {
    return [...this.#connections.values()].flatMap(({ pair, last }) =>
      (['provider', 'consumer'] as const).flatMap((to) =>
        pair[to].rest().map((piece) => ({ ...last, to, piece })),
      ),
    );
  }
}

function decodersFor(type: string): () => Pair {
  if (type === 'dbus') return () => ({ provider: new DbusDecoder(), consumer: new DbusDecoder() });
  if (type === 'rest' || type === 'http') return httpDecoders;
  return () => ({ provider: PLAIN, consumer: PLAIN });
}
