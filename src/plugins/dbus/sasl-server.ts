/**
 * The server's side of the authentication, towards a consumer (D-Bus specification, "Authentication state
 * diagrams"): EXTERNAL alone, and strictly. Pure: bytes in, steps out, one at a time.
 *
 * The identity that the consumer claims is of no consequence: it is checked to be hexadecimal, and forgotten. The
 * identity is the link's, and sasl-client.ts tells it to the bus. Nothing that the consumer sends is passed on.
 *
 *     auth   AUTH EXTERNAL [hex] → begin, by way of `authenticate`; without hex → data; other AUTH → REJECTED
 *     data   DATA [hex] → begin, by way of `authenticate`; CANCEL, ERROR → auth
 *     begin  BEGIN → over; NEGOTIATE_UNIX_FD → `negotiate`; CANCEL, ERROR → auth
 *
 * BEGIN in any other state ends the authentication, and every other command is answered by ERROR. The number of
 * commands is limited, so that it does end.
 */
import { isPrintable, LineReader, MAX_LINE } from './sasl-line.js';

export type ServerStep =
  /** More bytes are needed, and so many may be read: see `room` of LineReader. */
  | { readonly do: 'read'; readonly atMost: number }
  | { readonly do: 'send'; readonly bytes: Buffer }
  /** To be answered by `accept` or `reject`. */
  | { readonly do: 'authenticate' }
  /** The consumer asks to send descriptors. To be answered by `agree`. */
  | { readonly do: 'negotiate' }
  /** Messages follow. The last step. */
  | { readonly do: 'begin' }
  /** The consumer broke the protocol. The last step. */
  | { readonly do: 'end'; readonly reason: string };

type State = 'nul' | 'auth' | 'data' | 'asked' | 'begin' | 'over';

/** A client that tries all mechanisms that there are needs a dozen. */
const MAX_COMMANDS = 32;
const REJECTED = 'REJECTED EXTERNAL';

export class SaslServer {
  readonly #lines = new LineReader();
  #state: State = 'nul';
  #commands = 0;
  #end: ServerStep | null = null;

  feed(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#state !== 'nul') {
      this.#lines.feed(bytes);
      return;
    }
    this.#state = 'auth';
    if (bytes[0] === 0) this.#lines.feed(bytes.subarray(1));
    else this.#over('The first byte was not NUL.');
  }

  next(): ServerStep {
    if (this.#end) return this.#end;
    if (this.#state === 'asked') throw new Error('the last step was not answered');
    const line = this.#lines.next();
    if (line === undefined && !this.#lines.isTooLong) {
      return { do: 'read', atMost: this.#lines.room + (this.#state === 'nul' ? 1 : 0) };
    }
    if (line === undefined || line.length > MAX_LINE) {
      return this.#over(`A line was longer than ${MAX_LINE} bytes.`);
    }
    if (++this.#commands > MAX_COMMANDS) return this.#over('There was no end of commands.');
    return this.#command(line);
  }

  /** What is to be sent if the bus accepts the identity. `guid`: of the bus, 32 hexadecimal digits. */
  accept(guid: string): Buffer {
    this.#state = 'begin';
    return bytesOf(`OK ${guid}`);
  }

  /** What is to be sent if the bus rejects the identity. */
  reject(): Buffer {
    this.#state = 'auth';
    return bytesOf(REJECTED);
  }

  /** What is to be sent. `fds`: whether the bus takes descriptors. */
  agree(fds: boolean): Buffer {
    this.#state = 'begin';
    return bytesOf(fds ? 'AGREE_UNIX_FD' : 'ERROR Descriptors can not be passed here.');
  }

  #command(line: string): ServerStep {
    if (!isPrintable(line)) return send('ERROR The command is not ASCII.');
    if (line === 'BEGIN') return this.#begin(); // exactly this text: `room` relies on it
    const [, command, rest] = /^(\S*) *(.*)$/.exec(line) as unknown as [string, string, string];
    if (command === 'AUTH' && this.#state === 'auth') return this.#auth(rest);
    if (command === 'DATA' && this.#state === 'data') return this.#identity(rest);
    if (line === 'NEGOTIATE_UNIX_FD' && this.#state === 'begin') return this.#ask('negotiate');
    if (command === 'ERROR' || (command === 'CANCEL' && this.#state !== 'auth')) {
      this.#state = 'auth';
      return send(REJECTED);
    }
    return send('ERROR The command is unknown, or not expected here.');
  }

  #auth(rest: string): ServerStep {
    const [mechanism, response] = rest.split(/ +(.*)/s);
    if (mechanism !== 'EXTERNAL') return send(REJECTED);
    if (response) return this.#identity(response);
    this.#state = 'data';
    return send('DATA');
  }

  #identity(hex: string): ServerStep {
    if (!/^(?:[0-9a-fA-F]{2})*$/.test(hex)) {
      return send('ERROR The data is not hexadecimal.');
    }
    return this.#ask('authenticate');
  }

  #begin(): ServerStep {
    if (this.#state !== 'begin') return this.#over('BEGIN came before OK.');
    this.#state = 'over';
    this.#end = { do: 'begin' };
    return this.#end;
  }

  #ask(question: 'authenticate' | 'negotiate'): ServerStep {
    this.#state = 'asked';
    return { do: question };
  }

  #over(reason: string): ServerStep {
    this.#state = 'over';
    this.#end = { do: 'end', reason };
    return this.#end;
  }
}

function send(line: string): ServerStep {
  return { do: 'send', bytes: bytesOf(line) };
}

function bytesOf(line: string): Buffer {
  return Buffer.from(`${line}\r\n`, 'latin1');
}
