/**
 * Who may see the page: whoever has the token, under a name that no stranger can have given to this address. Pure.
 *
 * The token comes once, in the address that the command printed, and then as a cookie that no script and no other site
 * can use. `Host` is checked because a site that resolves its own name to this address (DNS rebinding) would be the same
 * site to a browser. Such a site has a name, so an address in place of one is no danger.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';

export type Admission =
  | { readonly admitted: true; readonly cookie?: string }
  | { readonly admitted: false; readonly status: 401 | 421; readonly why: string };

export interface Asking {
  /** The headers of that name; undefined: there is none. */
  readonly host: string | undefined;
  readonly cookie: string | undefined;
  /** As the address has it; null: it has none. */
  readonly token: string | null;
}

export class Gate {
  readonly #digest: Buffer;
  readonly #cookieName: string;
  readonly #names: readonly string[];

  /**
   * Throws where there is no token, which everybody would have. `port`: browsers keep the cookies of all ports of a
   * machine together. `names`: of this machine.
   */
  constructor(token: string | null, port: number, names: readonly string[]) {
    if (!token) throw new Error('A page needs a token.');
    this.#digest = digestOf(token);
    this.#cookieName = `pv-xconnect-web-${port}`;
    this.#names = names;
  }

  admit({ host, cookie, token }: Asking): Admission {
    if (!isNameOf(this.#names, host)) {
      const why = 'This is no name of this machine: use its address, localhost, or its own name.';
      return { admitted: false, status: 421, why };
    }
    if (token !== null && this.#isToken(token)) {
      const cookie = `${this.#cookieName}=${token}; HttpOnly; SameSite=Strict; Path=/`;
      return { admitted: true, cookie };
    }
    if (token === null && this.#cookies(cookie).some((value) => this.#isToken(value))) {
      return { admitted: true };
    }
    const why =
      'Open the address that pv-xconnect web printed when it was started: it has the token.';
    return { admitted: false, status: 401, why };
  }

  /** In a time that does not depend on how much of it is right. */
  #isToken(text: string): boolean {
    return timingSafeEqual(digestOf(text), this.#digest);
  }

  #cookies(header: string | undefined): string[] {
    return (header ?? '')
      .split(';')
      .map((one) => one.trim())
      .filter((one) => one.startsWith(`${this.#cookieName}=`))
      .map((one) => one.slice(this.#cookieName.length + 1));
  }
}

/** Whether that is an address, `localhost` or one of the names; `host`: the header. */
export function isNameOf(names: readonly string[], host: string | undefined): boolean {
  const [, name = ''] = /^(\[[^\]]*\]|[^:]*)(?::\d{1,5})?$/.exec(host ?? '') ?? [];
  const bare = name.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  return isIP(bare) !== 0 || ['localhost', ...names.map((one) => one.toLowerCase())].includes(bare);
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
