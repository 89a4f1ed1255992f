/**
 * `pv-xconnect web`: a page that shows the mesh as it is now, served by a process of its own (apart.ts).
 */
import { randomBytes } from 'node:crypto';
import type { Output } from '../cli/output.js';
import { authorityOf, isLoopback, type ListenAddress, PAGE_SERVER } from './address.js';
import { serveApart } from './apart.js';
import { READABLE } from './opener.js';

export interface WebOptions {
  /** The daemon's control socket. */
  readonly control: string;
  readonly listen: ListenAddress;
}

/** Exit code: 0 after a signal; 1 if the page can't be served. */
export function webCommand(
  options: WebOptions,
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Promise<number> {
  const token = randomBytes(24).toString('base64url');
  const onServing = (reached: ListenAddress) => {
    stdout.write(`The page is at http://${authorityOf(reached)}/?token=${token}\n`);
    if (!isLoopback(reached)) {
      stderr.write(
        'pv-xconnect: whoever can read along on the network sees the token and the page: it is HTTP without TLS.\n',
      );
    }
  };
  return serveApart(
    { ...options, word: PAGE_SERVER, what: 'the page', readable: READABLE, token, onServing },
    { stderr },
  );
}
